"""RetainMix: anomalous sound detection with encoders that retain mixture representations.

Importing the package registers the encoders with the Auto classes of transformers and the pipeline
"anomaly-detection" with `pipeline`. Everything else is imported at its first use: the trainer and the detector would
otherwise add seconds to every import.
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

# `python -m modeling_retainmix.<...>` imports this file before the module that it runs; so long sys.argv[0] is "-m".
# Torch takes seconds: of several processes the first one says so.
if sys.argv[:1] == ["-m"] and os.environ.get("LOCAL_RANK", "0") == "0":
    print("RetainMix: loading torch and transformers ...", file=sys.stderr, flush=True)

from modeling_retainmix.anomaly_pipeline import AnomalyDetectionPipeline
from modeling_retainmix.encoders import (
    BeatsConfig,
    BeatsFeatureExtractor,
    BeatsForAudioClassification,
    BeatsModel,
    EatConfig,
    EatFeatureExtractor,
    EatForAudioClassification,
    EatModel,
    LogMelConfig,
    LogMelModel,
)

if TYPE_CHECKING:
    from modeling_retainmix.conversion.convert import convert_checkpoint
    from modeling_retainmix.detection.detector import AnomalyDetector
    from modeling_retainmix.metrics.dcase_score import dcase_score
    from modeling_retainmix.mixing import mix_at_snr
    from modeling_retainmix.training.arguments import RetainMixTrainingArguments
    from modeling_retainmix.training.trainer import RetainMixTrainer

_LAZY = {
    "AnomalyDetector": "modeling_retainmix.detection.detector",
    "RetainMixTrainer": "modeling_retainmix.training.trainer",
    "RetainMixTrainingArguments": "modeling_retainmix.training.arguments",
    "convert_checkpoint": "modeling_retainmix.conversion.convert",
    "dcase_score": "modeling_retainmix.metrics.dcase_score",
    "mix_at_snr": "modeling_retainmix.mixing",
}

__version__ = "0.1.0.dev0"

__all__ = [
    "AnomalyDetectionPipeline",
    "AnomalyDetector",
    "BeatsConfig",
    "BeatsFeatureExtractor",
    "BeatsForAudioClassification",
    "BeatsModel",
    "EatConfig",
    "EatFeatureExtractor",
    "EatForAudioClassification",
    "EatModel",
    "LogMelConfig",
    "LogMelModel",
    "RetainMixTrainer",
    "RetainMixTrainingArguments",
    "convert_checkpoint",
    "dcase_score",
    "mix_at_snr",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
