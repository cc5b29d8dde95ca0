"""The command line `retainmix`: nothing heavy is imported before a command has printed its first line."""
