"""Test cases of the metric's Space: inputs of `compute` and what it returns for them."""

test_cases = [
    {
        "predictions": [0.1, 0.9, 0.2, 0.8],
        "references": [0, 1, 0, 1],
        "domains": ["source", "source", "target", "target"],
        "machines": ["fan", "fan", "fan", "fan"],
        "sections": ["00", "00", "00", "00"],
        "result": {"official_score": 1.0, "auc_source": 1.0, "auc_target": 1.0, "pauc": 1.0},
    },
    {
        "predictions": [0.5, 0.5, 0.5, 0.5],
        "references": [0, 1, 0, 1],
        "domains": ["source", "source", "target", "target"],
        "machines": ["fan", "fan", "fan", "fan"],
        "sections": ["00", "00", "00", "00"],
        "result": {"official_score": 0.5, "auc_source": 0.5, "auc_target": 0.5, "pauc": 0.5},
    },
    {
        "predictions": [3.0, 1.0, 2.0, 4.0, 0.5, 2.5],
        "references": [1, 0, 1, 1, 0, 0],
        "domains": ["source", "source", "target", "target", "target", "source"],
        "machines": ["fan", "fan", "fan", "fan", "fan", "fan"],
        "sections": ["00", "00", "00", "00", "00", "00"],
        "result": {
            "official_score": 0.8790523690773067,
            "auc_source": 0.8333333333333333,
            "auc_target": 1.0,
            "pauc": 0.8245614035087718,
        },
    },
]
