"""How far is a clip from the references of a machine? One file per value of `backend=`, named as that value."""
