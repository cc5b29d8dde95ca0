"""What arrives in a folder: every recording is scored once, whatever happens, and whoever asked is told of it."""
