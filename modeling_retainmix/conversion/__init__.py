"""Reading original checkpoints: where their files are, what their keys mean."""
