"""`python -m retainmix_cli` is `retainmix`."""

from retainmix_cli.app import main

if __name__ == "__main__":
    main()
