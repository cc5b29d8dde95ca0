"""Trains RetainMix and prints official scores: `accelerate launch train_accelerate.py [--config NAME_OR_YAML] ...`.

Without arguments it runs the demo recipe. `--help` lists every option; `modeling_retainmix.training.main` does the
work.
"""

from modeling_retainmix.training.main import main

if __name__ == "__main__":
    main()
