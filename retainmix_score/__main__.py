"""`python -m retainmix_score`: the command of the folder that was copied, not installed."""

from retainmix_score.command import main

main()
