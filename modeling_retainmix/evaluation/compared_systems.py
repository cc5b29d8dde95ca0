"""The rows of the paper's tables, and what else is printed beside them.

A row of a trained model has the name of the recipe that trains it.
"""

# Backbones of the paper, read at their last layer, as `frozen_last_layer` is
BACKBONES = {"eat_10": "EAT-10", "eat_30": "EAT-30", "sslam": "SSLAM"}

FROZEN_LAST = "frozen_last_layer"
FROZEN_SAME = "frozen_same_layer"
FROZEN_BEST = "frozen_best_layer"
LOG_MEL_ROW = "log_mel"
RANDOM = "random_weights"
ORACLE = "oracle"

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

NAMES = {
    LOG_MEL_ROW: "Log-mel mean",
    RANDOM: "Random weights, same layer",
    **BACKBONES,
    FROZEN_LAST: "Frozen backbone, last layer (paper: BEATs iter3)",
    FROZEN_SAME: "Frozen backbone, same layer",
    FROZEN_BEST: "Frozen backbone, best layer on validation machines",
    **TRAINED,
    ORACLE: "Oracle (mean of clean and noise embeddings)",
}

_FROZEN = (FROZEN_LAST, FROZEN_SAME, FROZEN_BEST)
_AT_5_DB = ("tagging_pm5db", "mixture_pm5db", "both_pm5db")
_AT_0_DB = ("tagging_0db", "mixture_0db", "both_0db")

TABLE_2 = (
    *(LOG_MEL_ROW, RANDOM, *BACKBONES, *_FROZEN, "denoising", "denoising_linear_mixup", "denoising_snr_mixup"),
    *(*_AT_5_DB, *_AT_0_DB, ORACLE),
)
TABLE_3 = (*_FROZEN, ORACLE, *_AT_5_DB, *_AT_0_DB)
TABLE_4 = (
    *(*_FROZEN, "tagging_plus10db", "tagging_plus5db", "tagging_0db", "tagging_minus5db", "tagging_minus10db"),
    *("tagging_pm5db", "tagging_pm10db"),
)
TABLE_5 = (*_FROZEN, "mixture_audioset_20k", "mixture_pm5db", "mixture_with_references")
