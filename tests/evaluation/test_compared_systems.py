"""The list of compared systems: what is published, trained and named fits it."""

from dataclasses import replace

from modeling_retainmix.evaluation import compared_systems
from modeling_retainmix.evaluation.compared_systems import BY_KEY, RUN_SYSTEMS, SYSTEMS, whitened
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
    plain = {"frozen_last_layer", "frozen_same_layer", "frozen_best_layer", "oracle"}
    assert readers == plain | {whitened(key) for key in plain}
    assert [system.key for system in SYSTEMS if system.oracle] == ["oracle", "oracle_whitened"]


def test_every_system_has_a_whitened_row_that_differs_in_the_distance_alone():
    for system in SYSTEMS:
        if not system.whitened:
            other = BY_KEY[whitened(system.key)]
            assert other == replace(system, key=other.key, label=f"{system.label}, whitened", whitened=True)


def test_table_of_a_run_has_the_trained_model_between_the_frozen_teacher_and_the_oracle():
    assert [system.label for system in RUN_SYSTEMS] == [
        "Log-mel mean",
        "Log-mel mean, whitened",
        "Log-mel statistics",
        "Log-mel statistics, whitened",
        "Frozen teacher, same layer",
        "Frozen teacher, same layer, whitened",
        "Frozen teacher, best layer on validation machines",
        "Frozen teacher, best layer on validation machines, whitened",
        "RetainMix",
        "RetainMix, whitened",
        "Oracle (mean of clean and noise embeddings)",
        "Oracle (mean of clean and noise embeddings), whitened",
    ]
