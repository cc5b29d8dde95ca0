"""The systems that are compared: one list for the table of a run, the paper's tables, `results.json` and the cards.

Rows are found by `key`, which never changes; labels are for readers. The row of a method of the paper has the name of
the recipe that trains it.
"""

from dataclasses import dataclass, replace
from typing import Literal

LayerRule = Literal["same", "best", "last", "own"]
# How a row compares clips: all alike, as a table is told; whitened; or as the detector's default does, what is heard
# joined with log-mel statistics and the changes of both
Comparison = Literal["plain", "whitened", "joined"]


@dataclass(frozen=True)
class ComparedSystem:
    """A row of a table.

    Attributes:
        key: names the row in `results.json`, in row files, in CSV files and on the command line.
        label: what tables print.
        encoder: name of the encoder that it reads (`score_systems`).
        layer: the layer of the trained model ("same"), the one that is best on validation machines ("best"), the
            last one, or the `embedding_layer` of the encoder's own configuration; None: the features have no layers.
        oracle: average the embeddings of clean clip and noise instead of embedding their mixture (Table 3).
        comparison: "plain", by the backend that a table is told; "whitened", by `backend="whitened"` whatever the
            others have; "joined", whitened, and joined with log-mel statistics as recorded and the changes of both
            (`joined_blocks`), as a detector compares clips by default; of log-mel, its statistics and their changes.
    """

    key: str
    label: str
    encoder: str
    layer: LayerRule | None
    oracle: bool = False
    comparison: Comparison = "plain"


LOG_MEL = "log_mel"
LOG_MEL_STATISTICS = "log_mel_statistics"
RANDOM = "random_weights"
FROZEN_LAST = "frozen_last_layer"
FROZEN_SAME = "frozen_same_layer"
FROZEN_BEST = "frozen_best_layer"
TRAINED_MODEL = "trained"  # of one run, whatever its recipe
ANOTHER = "another"  # that one run is told to score beside it
ORACLE = "oracle"

TEACHER = "teacher"  # the encoder of the frozen rows and of the oracle

# Backbones of the paper, read at their last layer, as `frozen_last_layer` is: {key: label}
BACKBONES = {"eat_10": "EAT-10", "eat_30": "EAT-30", "sslam": "SSLAM"}

# Methods of the paper: {recipe: label}
TRAINED = {
    "denoising": "Denoising",
    "denoising_linear_mixup": "Denoising + linear mixup",
    "denoising_snr_mixup": "Denoising + SNR mixup",
    "tagging_pm5db": "Tagging loss, ±5 dB",
    "mixture_pm5db": "Mixture loss, ±5 dB",
    "both_pm5db": "Tagging + mixture loss, ±5 dB",
    "tagging_0db": "Tagging loss, 0 dB",
    "mixture_0db": "Mixture loss, 0 dB",
    "both_0db": "Tagging + mixture loss, 0 dB",
    "tagging_plus10db": "Tagging loss, 10 dB",
    "tagging_plus5db": "Tagging loss, 5 dB",
    "tagging_minus5db": "Tagging loss, -5 dB",
    "tagging_minus10db": "Tagging loss, -10 dB",
    "tagging_pm10db": "Tagging loss, ±10 dB",
    "mixture_audioset_20k": "Mixture loss on AS-20K",
    "mixture_with_references": "Mixture loss, evaluation references added",
}

# What goes beyond the paper: {recipe: label}
BEYOND = {
    "both_0db_two_heads": "Two heads, 0 dB",
    "both_0db_teacher_layers": "Mean of the teacher's layers, 0 dB",
    "both_0db_pooled": "Pooled loss beside the tokens', 0 dB",
    "both_pm5db_snr_lambda": "Lambda from the SNR, ±5 dB",
    "both_pm10db": "Tagging + mixture loss, ±10 dB",
    "both_0db_mixed_pool": "Faulty and foreign sounds in the pool, 0 dB",
}

_PLAIN = (
    ComparedSystem(LOG_MEL, "Log-mel mean", LOG_MEL, None),
    ComparedSystem(LOG_MEL_STATISTICS, "Log-mel statistics", LOG_MEL_STATISTICS, None),
    ComparedSystem(RANDOM, "Random weights, same layer", RANDOM, "same"),
    *(ComparedSystem(key, label, key, "last") for key, label in BACKBONES.items()),
    ComparedSystem(FROZEN_LAST, "Frozen teacher, last layer (paper: BEATs iter3)", TEACHER, "last"),
    ComparedSystem(FROZEN_SAME, "Frozen teacher, same layer", TEACHER, "same"),
    ComparedSystem(FROZEN_BEST, "Frozen teacher, best layer on validation machines", TEACHER, "best"),
    ComparedSystem(TRAINED_MODEL, "RetainMix", TRAINED_MODEL, "same"),
    ComparedSystem(ANOTHER, "Another model", ANOTHER, "own"),
    *(ComparedSystem(key, label, key, "same") for key, label in (TRAINED | BEYOND).items()),
    ComparedSystem(ORACLE, "Oracle (mean of clean and noise embeddings)", TEACHER, "same", oracle=True),
)


def compared(key: str, comparison: Comparison) -> str:
    """Return the key of the row that compares the same system in another way."""
    return key if comparison == "plain" else f"{key}_{comparison}"


def plain(key: str) -> str:
    """Return the key of the system's first row."""
    return key.removesuffix("_whitened").removesuffix("_joined")


def _compared(system: ComparedSystem) -> list[ComparedSystem]:
    # Time means and averages hold no changes; the best layer is chosen by what the layers hold themselves.
    can_join = system.encoder != LOG_MEL and not system.oracle and system.layer != "best"
    ways: tuple[Comparison, ...] = ("whitened", "joined") if can_join else ("whitened",)
    others = [
        replace(system, key=compared(system.key, way), label=f"{system.label}, {way}", comparison=way) for way in ways
    ]
    return [system, *others]


SYSTEMS = tuple(one for system in _PLAIN for one in _compared(system))
# What every table shows beside its encoders: the spectrum under their backend, whitened, and with its changes.
LOG_MEL_ROWS = tuple(system.key for system in SYSTEMS if system.encoder in (LOG_MEL, LOG_MEL_STATISTICS))
BY_KEY = {system.key: system for system in SYSTEMS}

# The table of one run
_OF_A_RUN = (LOG_MEL, LOG_MEL_STATISTICS, FROZEN_SAME, FROZEN_BEST, TRAINED_MODEL, ANOTHER, ORACLE)
RUN_SYSTEMS = tuple(one for system in _PLAIN if system.key in _OF_A_RUN for one in _compared(system))
