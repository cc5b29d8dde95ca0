"""The list of compared systems: what is published, trained and named fits it."""

from dataclasses import replace

from modeling_retainmix.evaluation import compared_systems
from modeling_retainmix.evaluation.compared_systems import BY_KEY, RUN_SYSTEMS, SYSTEMS, compared, plain
from modeling_retainmix.evaluation.paper import published_numbers
from modeling_retainmix.training.recipe import recipe_names


def test_keys_and_labels_name_one_system_each():
    assert len({system.key for system in SYSTEMS}) == len({system.label for system in SYSTEMS}) == len(SYSTEMS)


def test_every_system_that_the_paper_prints_is_in_the_list():
    printed = {key for key, *_ in published_numbers.CELLS} | {key for key, _ in published_numbers.TABLE_3}
    assert printed <= set(BY_KEY)


def test_trained_methods_have_the_names_of_recipes():
    assert set(compared_systems.TRAINED) | set(compared_systems.BEYOND) <= set(recipe_names())


def test_frozen_rows_and_the_oracle_read_the_teacher_and_only_the_oracle_averages():
    readers = {system.key for system in SYSTEMS if system.encoder == compared_systems.TEACHER}
    same, others = {"frozen_last_layer", "frozen_same_layer"}, {"frozen_best_layer", "oracle"}
    whitened = {compared(key, "whitened") for key in same | others}
    assert readers == same | others | whitened | {compared(key, "joined") for key in same}
    assert [system.key for system in SYSTEMS if system.oracle] == ["oracle", "oracle_whitened"]


def test_every_system_has_rows_that_differ_in_the_comparison_alone():
    for system in SYSTEMS:
        first = BY_KEY[plain(system.key)]
        assert first.comparison == "plain" and BY_KEY[compared(first.key, "whitened")].comparison == "whitened"
        if system != first:
            way = system.comparison
            label = f"{first.label}, {way}"
            assert system == replace(first, key=compared(first.key, way), label=label, comparison=way)


def test_what_holds_no_changes_is_not_joined():
    without = {system.key for system in SYSTEMS if system.comparison == "plain"} - {
        plain(system.key) for system in SYSTEMS if system.comparison == "joined"
    }
    assert without == {"log_mel", "frozen_best_layer", "oracle"}


def test_table_of_a_run_has_the_trained_model_between_the_frozen_teacher_and_the_oracle():
    assert [system.label for system in RUN_SYSTEMS] == [
        "Log-mel mean",
        "Log-mel mean, whitened",
        "Log-mel statistics",
        "Log-mel statistics, whitened",
        "Log-mel statistics, joined",
        "Frozen teacher, same layer",
        "Frozen teacher, same layer, whitened",
        "Frozen teacher, same layer, joined",
        "Frozen teacher, best layer on validation machines",
        "Frozen teacher, best layer on validation machines, whitened",
        "RetainMix",
        "RetainMix, whitened",
        "RetainMix, joined",
        "Another model",
        "Another model, whitened",
        "Another model, joined",
        "Oracle (mean of clean and noise embeddings)",
        "Oracle (mean of clean and noise embeddings), whitened",
    ]
