"""What the exit status of every command means."""

NORMAL = 0  # done; nothing anomalous found
ANOMALIES = 1  # done; anomalies found
FAILED = 2  # something could not be done; stands above ANOMALIES
WRONG_USAGE = 3  # an option or argument that the command does not take
INTERRUPTED = 130  # Ctrl-C
TERMINATED = 143  # SIGTERM
