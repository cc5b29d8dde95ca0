"""The paper's numbers: official scores in % of its Tables 2 to 5. It prints none of its Figure 2.

Rows have the keys of our rows (`compared_systems`). Its Tables 4 and 5 repeat Mismatch rows of Table 2 where they can.
"""

from modeling_retainmix.data.benchmark import SUBSETS

SNR_DB: tuple[float, ...] = (-10, -5, 0, 5, 10, 20, 30)
LOW_SNR_DB: tuple[float, ...] = (-10, -5, 0)

# Factory A, Factory B, Mismatch, at SNR_DB; then the harmonic means over LOW_SNR_DB and over all SNRs
_TABLE_2: dict[str, tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...], float, float]] = {
    "eat_10": (
        (60.0, 73.6, 85.6, 89.3, 92.1, 94.5, 94.9),
        (68.3, 76.2, 84.9, 90.2, 93.2, 94.7, 94.9),
        (46.5, 47.2, 57.0, 70.3, 80.5, 88.4, 91.1),
        63.5,
        75.9,
    ),
    "eat_30": (
        (61.3, 74.2, 85.6, 90.5, 92.3, 95.2, 95.8),
        (68.4, 76.9, 86.8, 92.4, 94.3, 95.5, 96.3),
        (46.7, 51.9, 61.8, 71.8, 81.1, 90.1, 92.7),
        65.5,
        77.6,
    ),
    "sslam": (
        (59.3, 71.7, 84.7, 89.7, 91.6, 94.6, 94.7),
        (65.5, 74.9, 83.8, 90.6, 93.1, 94.2, 94.6),
        (47.5, 47.6, 60.6, 72.7, 82.3, 89.1, 91.5),
        63.5,
        76.1,
    ),
    "frozen_last_layer": (  # BEATs iter3
        (62.0, 77.2, 86.8, 91.2, 93.9, 96.5, 97.3),
        (69.3, 78.3, 86.3, 92.1, 95.1, 96.6, 97.3),
        (47.7, 50.9, 61.5, 73.8, 83.5, 91.5, 94.4),
        66.0,
        78.5,
    ),
    "denoising": (
        (64.3, 74.6, 87.0, 90.6, 92.2, 94.1, 94.9),
        (67.0, 75.0, 84.7, 90.9, 93.1, 94.1, 94.8),
        (45.2, 49.8, 61.3, 72.4, 83.3, 90.7, 92.6),
        64.7,
        77.0,
    ),
    "denoising_linear_mixup": (
        (62.8, 74.9, 83.0, 88.3, 90.6, 92.8, 94.2),
        (67.0, 74.5, 84.3, 89.9, 92.1, 93.2, 93.8),
        (45.2, 45.3, 55.7, 67.8, 78.5, 88.4, 92.5),
        62.6,
        74.9,
    ),
    "denoising_snr_mixup": (
        (64.4, 76.4, 85.0, 90.3, 92.3, 94.9, 95.7),
        (68.2, 77.1, 85.4, 92.0, 94.3, 95.4, 96.0),
        (48.1, 49.0, 59.6, 72.0, 82.2, 89.8, 93.4),
        65.4,
        77.5,
    ),
    "tagging_pm5db": (
        (63.2, 76.0, 86.4, 91.3, 94.3, 97.2, 97.6),
        (71.2, 80.3, 87.4, 92.5, 95.4, 97.1, 97.5),
        (49.1, 55.9, 62.8, 71.2, 81.0, 91.1, 94.6),
        67.8,
        79.4,
    ),
    "mixture_pm5db": (
        (63.9, 76.5, 88.7, 92.9, 95.1, 97.2, 97.9),
        (71.4, 80.6, 89.1, 94.2, 96.3, 97.1, 97.8),
        (50.7, 56.6, 64.6, 74.6, 84.4, 92.9, 95.7),
        69.0,
        80.7,
    ),
    "both_pm5db": (
        (63.5, 76.6, 88.4, 92.9, 94.7, 96.8, 97.5),
        (71.2, 80.5, 88.9, 94.4, 96.1, 97.0, 97.5),
        (50.0, 55.9, 64.5, 75.0, 84.2, 92.8, 95.5),
        68.6,
        80.4,
    ),
    "tagging_0db": (
        (63.6, 75.6, 87.6, 93.7, 95.9, 97.9, 98.2),
        (69.8, 80.6, 90.2, 95.5, 97.0, 98.1, 98.2),
        (53.3, 57.8, 65.6, 77.9, 87.0, 95.4, 97.2),
        69.5,
        81.6,
    ),
    "mixture_0db": (
        (63.0, 76.9, 88.3, 93.1, 95.2, 97.3, 97.8),
        (71.8, 81.5, 89.8, 94.7, 96.3, 97.1, 97.7),
        (51.7, 58.7, 67.8, 76.2, 84.6, 92.6, 95.6),
        70.0,
        81.4,
    ),
    "both_0db": (
        (62.7, 76.5, 88.4, 92.8, 95.1, 97.8, 98.2),
        (71.7, 81.5, 89.7, 94.7, 96.8, 97.6, 98.1),
        (52.5, 59.2, 68.2, 76.5, 84.6, 93.6, 96.6),
        70.1,
        81.6,
    ),
}

# Mismatch at SNR_DB and the harmonic mean: Table 4, then Table 5
_MISMATCH: dict[str, tuple[tuple[float, ...], float]] = {
    "frozen_last_layer": ((47.7, 50.9, 61.5, 73.8, 83.5, 91.5, 94.4), 67.4),
    "tagging_plus10db": ((51.1, 56.3, 66.9, 74.8, 83.5, 92.4, 95.4), 70.8),
    "tagging_plus5db": ((51.0, 51.3, 60.1, 70.7, 81.7, 94.1, 96.3), 67.9),
    "tagging_0db": ((53.3, 57.8, 65.6, 77.9, 87.0, 95.4, 97.2), 72.6),
    "tagging_minus5db": ((48.3, 47.9, 59.7, 74.3, 85.3, 95.0, 96.7), 67.1),
    "tagging_minus10db": ((48.0, 51.4, 57.6, 74.6, 86.7, 94.7, 96.4), 67.6),
    "tagging_pm5db": ((49.1, 55.9, 62.8, 71.2, 81.0, 91.1, 94.6), 68.5),
    "tagging_pm10db": ((44.7, 42.9, 55.3, 70.1, 83.1, 92.5, 94.7), 62.8),
    "mixture_audioset_20k": ((45.4, 46.5, 52.7, 63.6, 72.6, 88.1, 94.8), 61.5),
    "mixture_pm5db": ((50.7, 56.6, 64.6, 74.6, 84.4, 92.9, 95.7), 70.5),
    "mixture_with_references": ((51.1, 59.8, 67.9, 75.9, 84.5, 91.5, 94.6), 71.8),
}

TABLE_3_MACHINES = ("bandsaw", "bandsealer", "grinder", "polisher", "screwfeeder", "shaker")
# Mismatch at 0 dB, no normalization between domains: per machine type, then the harmonic mean
_TABLE_3: dict[str, tuple[tuple[float, ...], float]] = {
    "frozen_last_layer": ((57.6, 47.0, 82.6, 57.8, 72.2, 57.6), 60.4),
    "oracle": ((70.6, 63.1, 69.2, 75.7, 72.4, 99.7), 73.6),
    "tagging_pm5db": ((50.6, 50.8, 90.2, 56.6, 64.6, 82.3), 62.6),
    "mixture_pm5db": ((57.0, 48.6, 89.2, 58.7, 66.9, 82.2), 64.2),
    "both_pm5db": ((57.9, 49.5, 87.3, 59.0, 67.2, 74.5), 63.7),
}

# {(row, subset, SNR in dB): official score}
CELLS: dict[tuple[str, str, float], float] = {
    (row, "Mismatch", snr_db): value
    for row, (values, _) in _MISMATCH.items()
    for snr_db, value in zip(SNR_DB, values, strict=True)
} | {
    (row, subset, snr_db): value
    for row, columns in _TABLE_2.items()
    for subset, values in zip(SUBSETS, columns[:3], strict=True)
    for snr_db, value in zip(SNR_DB, values, strict=True)
}
# {row: printed harmonic mean}: Table 2 over all subsets and LOW_SNR_DB; and over all SNRs; Mismatch over all SNRs
HMEAN_LOW = {row: columns[3] for row, columns in _TABLE_2.items()}
HMEAN_ALL = {row: columns[4] for row, columns in _TABLE_2.items()}
HMEAN_MISMATCH = {row: mean for row, (_, mean) in _MISMATCH.items()}
# {(row, machine type)} of Table 3, and {row} its harmonic means
TABLE_3 = {
    (row, machine): value
    for row, (values, _) in _TABLE_3.items()
    for machine, value in zip(TABLE_3_MACHINES, values, strict=True)
}
HMEAN_TABLE_3 = {row: mean for row, (_, mean) in _TABLE_3.items()}
