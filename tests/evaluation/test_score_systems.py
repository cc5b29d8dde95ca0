"""Scores of the compared systems: each is its encoder's score at the layer that its rule names."""

from dataclasses import replace

import pytest
from tiny_encoders import PROTOCOL, make_encoder

from modeling_retainmix.encoders import BeatsFeatureExtractor
from modeling_retainmix.evaluation.compared_systems import (
    BY_KEY,
    LOG_MEL_ROWS,
    SYSTEMS,
    TEACHER,
    TRAINED_MODEL,
    compared,
    plain,
)
from modeling_retainmix.evaluation.results import result_row
from modeling_retainmix.evaluation.score_encoders import log_mel_mean, log_mel_statistics, score_encoders
from modeling_retainmix.evaluation.score_systems import best_layer, score_systems, table_rows
from modeling_retainmix.evaluation.scores import NEAREST_REFERENCE, WHITENED

OPTIONS = {"protocol": PROTOCOL, "show_progress": False}
NAMES = {TEACHER: 0, "random_weights": 1, "sslam": 2, "both_0db": 3}


@pytest.fixture(scope="module")
def encoders():
    return {name: make_encoder(name, seed) for name, seed in NAMES.items()}


@pytest.fixture(scope="module")
def alone(benchmark, encoders):
    """Scores of every encoder and layer, and of the oracle, each computed for itself."""
    spectra = [spectrum(encoders[TEACHER].feature_extractor) for spectrum in (log_mel_mean, log_mel_statistics)]
    mixtures, oracle = {}, {}
    for settings, name in ((NEAREST_REFERENCE, ()), (WHITENED, ("whitened",))):
        for encoder in (*encoders.values(), *spectra):
            scores = score_encoders(benchmark, encoders=[encoder], settings=settings, **OPTIONS)
            mixtures |= {(*view, *name): values for view, values in scores.items()}
            if settings is WHITENED and encoder.name != "log_mel":
                views = [(encoder.name, layer, "joined") for layer in encoder.layers]
                mixtures |= score_encoders(benchmark, encoders=[encoder], compared=views, **OPTIONS)
        scores = score_encoders(benchmark, encoders=[encoders[TEACHER]], oracle=True, settings=settings, **OPTIONS)
        oracle |= {(*view, *name): values for view, values in scores.items()}
    return mixtures, oracle


@pytest.mark.parametrize("whole", [(), (TEACHER, "both_0db")])
def test_every_system_reads_its_encoder_at_the_layer_of_its_rule(benchmark, encoders, alone, whole):
    systems = [system for system in SYSTEMS if system.encoder in ("log_mel", "log_mel_statistics", *NAMES)]
    found = score_systems(systems, encoders, 1, benchmark, benchmark, whole, **OPTIONS)
    mixtures, oracle = alone
    rules = {
        "log_mel": (None, "log_mel", 0),
        "log_mel_statistics": (None, "log_mel_statistics", 0),
        "random_weights": (1, "random_weights", 1),
        "sslam": (2, "sslam", 2),
        "frozen_last_layer": (2, TEACHER, 2),
        "frozen_same_layer": (1, TEACHER, 1),
        "frozen_best_layer": None,
        "both_0db": (1, "both_0db", 1),
        "oracle": (1, TEACHER, 1),
    }
    assert list(dict.fromkeys(map(plain, found.rows))) == list(rules)
    assert list(found.rows) == [system.key for system in systems]
    for key, system in found.rows.items():
        backend = () if key == plain(key) else (BY_KEY[key].comparison,)
        rule = rules[plain(key)]
        if rule is None:
            best = best_layer({(TEACHER, k): mixtures[(TEACHER, k, *backend)] for k in (1, 2)})
            rule = (best, TEACHER, best)
        layer, *view = rule
        scores = (oracle if key.startswith("oracle") else mixtures)[(*view, *backend)]
        assert system[0] == layer
        assert result_row("", system[1]) == result_row("", scores), key
    assert all((name, layer) in found.by_layer for name in whole for layer in (1, 2))
    assert (("both_0db", 2) in found.by_layer) == ("both_0db" in whole)


def test_when_no_rule_asks_for_the_best_layer_then_validation_machines_are_not_scored(benchmark, encoders):
    found = score_systems([BY_KEY["frozen_same_layer"]], encoders, 1, benchmark, None, **OPTIONS)
    assert list(found.rows) == ["frozen_same_layer"]


@pytest.mark.parametrize("another", [None, "acme-hum"])
def test_rows_of_a_run_have_keys_labels_and_layers(benchmark, encoders, alone, another):
    same, best = "frozen_same_layer", "frozen_best_layer"
    teacher, student = encoders[TEACHER], encoders["both_0db"]
    rows = table_rows(
        *(benchmark, benchmark, PROTOCOL, teacher.model, student.model),
        *(teacher.feature_extractor, student.feature_extractor, 2),
        another=None if another is None else replace(encoders["sslam"], name=another),
        show_progress=False,
    )
    joined = {one: (one, compared(one, "whitened"), compared(one, "joined")) for one in (same, TRAINED_MODEL)}
    others = [[best, compared(best, "whitened")], ["oracle", "oracle_whitened"]]
    beside = [] if another is None else ["another", "another_whitened", "another_joined"]
    expected = [*LOG_MEL_ROWS, *joined[same], *others[0], *joined[TRAINED_MODEL], *beside, *others[1]]
    assert [row["key"] for row in rows] == expected
    layers = [row["layer"] for row in rows if "frozen_best" not in row["key"]]
    assert layers == [None] * 5 + [2] * (8 + len(beside))
    names = [row["name"] for row in rows if row["key"].startswith("another")]
    assert names == [f"{another}{way}" for way in ("", ", whitened", ", joined")][: len(beside)]
    trained = next(row for row in rows if row["key"] == TRAINED_MODEL)
    assert {"key": TRAINED_MODEL, **result_row("RetainMix", alone[0]["both_0db", 2], 2)} == trained


def test_when_teacher_and_student_have_other_feature_extractors_then_each_hears_its_own(benchmark, encoders, alone):
    student, level = encoders["both_0db"], BeatsFeatureExtractor(clip_level=0.3)
    models = encoders[TEACHER].model, student.model
    features = level, student.feature_extractor
    rows = table_rows(benchmark, [], PROTOCOL, *models, *features, 2, show_progress=False)
    found = {row["key"]: row for row in rows}
    (moved,) = score_encoders(
        benchmark, encoders=[replace(encoders[TEACHER], feature_extractor=level, layers=(2,))], **OPTIONS
    ).values()
    label = BY_KEY["frozen_same_layer"].label
    expected = {"key": "frozen_same_layer", **result_row(label, moved, 2)}
    assert found["frozen_same_layer"] == expected
    assert expected != {"key": "frozen_same_layer", **result_row(label, alone[0][TEACHER, 2], 2)}
    assert found[TRAINED_MODEL] == {"key": TRAINED_MODEL, **result_row("RetainMix", alone[0]["both_0db", 2], 2)}


def test_best_layer_is_that_of_the_highest_mean_over_all_cells():
    class Scores:
        def __init__(self, hmean_all):
            self.hmean_all = hmean_all

    assert best_layer({("a", 1): Scores(0.5), ("a", 2): Scores(0.7), ("a", 3): Scores(0.6)}) == 2
