"""The console script `retainmix`, which is also `python -m retainmix_cli`."""

import sys

from retainmix_cli import exit_codes


def main() -> None:
    """Run the command of the command line and exit with its status; Ctrl-C counts before anything is imported, too."""
    try:
        from retainmix_cli import app
    except KeyboardInterrupt:
        sys.exit(exit_codes.INTERRUPTED)
    app.main()


if __name__ == "__main__":
    main()
