"""One file per command, named as it; each imports what it needs inside its function."""
