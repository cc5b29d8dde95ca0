"""Pre-trains a small BEATs by self-supervision, on the procedural factory or on your recordings.

accelerate launch examples/pretrain_beats.py --output_dir outputs/pretraining --bf16 True --resume_from_checkpoint True
accelerate launch examples/pretrain_beats.py --output_dir outputs/mine --train_data recordings/ --train_noise noise/
accelerate launch examples/pretrain_beats.py --output_dir outputs/second --tokenizer_model outputs/pretraining/best

With `--resume_from_checkpoint True` the same command starts a run and, after an interruption, goes on with it. The
output folder holds `log.jsonl` (losses, speed and the probe's scores of every layer), checkpoints, and two plain
encoders, `best/` and `last/`, which `AutoModel.from_pretrained` and `AnomalyDetector.from_pretrained` load.
"""

import sys

from modeling_retainmix.training.pretraining import main

if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, FloatingPointError) as error:
        sys.exit(f"error: {error}")
