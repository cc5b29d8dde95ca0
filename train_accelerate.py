"""Train RetainMix and print official scores: `accelerate launch train_accelerate.py [--config NAME_OR_YAML] ...`.

Without arguments it runs the demo recipe. `--help` lists every option; `modeling_retainmix.training.main` does the
work.
"""

import os
import sys

if __name__ == "__main__":
    if os.environ.get("LOCAL_RANK", "0") == "0":  # of several processes the first one speaks
        print("RetainMix: loading torch and transformers ...", file=sys.stderr, flush=True)

    from modeling_retainmix.training.main import main

    main()
