"""The record of an invented run, as a training run writes it."""

import pytest

SUBSETS = ("Factory A", "Factory B", "Mismatch")


def row(key: str, name: str, base: float, layer: int | None) -> dict:
    scores = {
        subset: {snr: base + 2 * offset + gain for snr, gain in (("-10", 0.0), ("0", 5.0), ("10", 12.0))}
        for offset, subset in enumerate(SUBSETS)
    }
    parts = ("official_score", "auc_source", "auc_target", "pauc")
    return {
        "key": key,
        "name": name,
        "layer": layer,
        "scores": scores,
        "hmean_low": base + 4.0,
        "hmean_all": base + 7.0,
        "per_machine": {
            subset: {
                snr: {
                    machine: dict.fromkeys(parts, value + step) for machine, step in (("pump", -1.0), ("press", 1.0))
                }
                for snr, value in cells.items()
            }
            for subset, cells in scores.items()
        },
    }


@pytest.fixture
def results() -> dict:
    return {
        "format_version": 1,
        "created": "2026-01-02T03:04:05+00:00",
        "command": "accelerate launch train_accelerate.py --hub_model_id acme/hum",
        "commit": "0123456789abcdef",
        "protocol": {
            "name": "small",
            "source_references": 100,
            "target_references": 10,
            "tests_per_cell": 20,
            "snr_db": [-10, 0, 10],
            "low_snr_db": [-10, 0],
            "clip_seconds": 4.0,
            "k": 1,
            "normalization": "none",
            "clips": {"pump": {"references": 110, "tests": 80}, "press": {"references": 110, "tests": 76}},
            "noise_segments_reused": 0,
        },
        "data": {"training": "procedural factory", "evaluation": "procedural factory", "factory_version": 3},
        "settings": {"alpha": 1.0, "beta": 1.0, "lam": 0.5, "snr_db": [-5.0, 5.0], "level": "target"},
        "model": {"name": "acme/hum", "num_parameters": 2_100_123, "embedding_layer": 2, "base_model": None},
        "hardware": {"processor": "x86_64", "cores": 2, "accelerator": None},
        "versions": {"python": "3.11.7", "torch": "2.14.0"},
        "duration_seconds": {"training": 120.5},
        "peak_memory_gib": 2.5,
        "rows": [
            row("log_mel", "Log-mel mean", 50.0, None),
            row("trained", "RetainMix", 61.25, 2),
            row("frozen_same_layer", "Frozen teacher, same layer", 55.5, 2),
            row("oracle", "Oracle", 65.0, 2),
        ],
    }
