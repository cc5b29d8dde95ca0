"""Training examples: classes, crops, padding, and clips that cannot be trained on."""

import numpy as np
import pytest
from datasets import Dataset, Features, List, Value

from modeling_retainmix.data.training_pairs import PairKey as Key
from modeling_retainmix.data.training_pairs import TrainingPairs


def table(rows):
    features = {name: Value("string") for name in rows[0] if name != "audio"} | {"audio": List(Value("int16"))}
    return Dataset.from_list(rows, features=Features(features))


def machine_table(lengths=(8, 8, 8)):
    types = [("valve", "b"), ("fan", "a"), ("valve", "a")]
    return table(
        [
            {"audio": list(range(1, length + 1)), "machine_type": machine_type, "attributes": attributes}
            for length, (machine_type, attributes) in zip(lengths, types, strict=True)
        ]
    )


def noise_table(length=8):
    return table([{"audio": [5] * length, "noise_class": name} for name in ("press", "hall")])


def test_when_labels_are_made_then_machine_classes_come_before_noise_classes():
    pairs = TrainingPairs(machine_table(), noise_table(), 8, sampling_rate=1)
    assert pairs.class_names == ["fan/a", "valve/a", "valve/b", "noise/hall", "noise/press"]
    batch = pairs.__getitems__([Key(0, 0, 0), Key(1, 1, 1)])
    assert batch["machine_class"].tolist() == [2, 0]
    assert batch["noise_class"].tolist() == [4, 3]


def test_when_machine_clip_is_short_then_both_clips_are_zero_beyond_its_end():
    pairs = TrainingPairs(machine_table((5, 8, 8)), noise_table(), 8, sampling_rate=1)
    batch = pairs.__getitems__([Key(0, 0, 0), Key(1, 1, 0)])
    assert batch["length"].tolist() == [5, 8]
    assert batch["machine"][0].tolist() == [1, 2, 3, 4, 5, 0, 0, 0]
    assert batch["noise"][0].tolist() == [5, 5, 5, 5, 5, 0, 0, 0]
    assert batch["noise"].dtype == np.int16


def test_when_tables_have_scales_then_each_clip_comes_with_its_scale():
    machines = machine_table().add_column("scale", np.array([1, 4, 0.5], dtype=np.float32))
    batch = TrainingPairs(machines, noise_table(), 8, sampling_rate=1).__getitems__([Key(0, 2, 0), Key(1, 1, 1)])
    assert batch["machine_scale"].tolist() == [0.5, 4.0] and batch["noise_scale"].tolist() == [1.0, 1.0]


def test_when_machine_clip_is_long_then_its_cut_depends_on_the_position_alone():
    pairs = TrainingPairs(machine_table((100, 8, 8)), noise_table(), 8, sampling_rate=1)
    starts = [pairs.__getitems__([Key(position, 0, 0)])["machine"][0, 0] for position in range(20)]
    assert len(set(starts)) > 5
    together = pairs.__getitems__([Key(position, 0, 0) for position in range(20)])["machine"][:, 0]
    assert together.tolist() == starts


def test_when_single_example_is_read_then_it_is_the_row_of_the_batch():
    pairs = TrainingPairs(machine_table(), noise_table(), 8, sampling_rate=1)
    assert pairs[Key(3, 2, 1)]["machine"].tolist() == list(range(1, 9))


def test_when_machine_clip_is_silent_then_error_names_the_row():
    machines = machine_table().map(lambda row, index: {"audio": [0] * 8} if index == 1 else {}, with_indices=True)
    with pytest.raises(ValueError, match=r"1 machine clips are silent: \[1\]"):
        TrainingPairs(machines, noise_table(), 8, sampling_rate=1)


def test_when_noise_is_shorter_than_the_clip_then_error_says_so():
    with pytest.raises(ValueError, match="2 noise clips are under 8 samples"):
        TrainingPairs(machine_table(), noise_table(7), 8, sampling_rate=1)


def test_when_table_is_empty_then_error_says_which():
    with pytest.raises(ValueError, match="noise"):
        TrainingPairs(machine_table(), noise_table().select([]), 8, sampling_rate=1)


def test_when_noise_is_not_labelled_then_classes_end_after_the_machines():
    pairs = TrainingPairs(machine_table(), noise_table(), 8, sampling_rate=1, label_noise=False)
    assert pairs.class_names == ["fan/a", "valve/a", "valve/b"]


def test_when_tables_have_paths_then_examples_are_named_by_them():
    machines = machine_table().add_column("path", ["a.wav", "b.wav", "c.wav"])
    pairs = TrainingPairs(machines, noise_table(), 8, sampling_rate=1)
    assert pairs.describe(1, 0) == "b.wav with row 0 (press)"


def many_clips(classes):
    """A table whose clip number n holds n + 1."""
    return table(
        [{"audio": [n + 1] * 8, "machine_type": name, "attributes": "", "noise_class": name} for n, name in classes]
    )


def test_when_clips_are_set_aside_then_every_class_gives_its_share_and_no_clip_is_in_both():
    machines = many_clips(list(enumerate(["fan"] * 10 + ["valve"] * 5 + ["pump"])))
    noise = many_clips(list(enumerate(["hall"] * 5 + ["press"] * 5)))
    training, validation = TrainingPairs(machines, noise, 8, sampling_rate=1).split(0.2, seed=3)
    assert training.class_names == validation.class_names
    assert np.bincount(validation.machine_classes, minlength=3).tolist() == [2, 0, 1]  # fan, pump, valve
    assert np.bincount(training.machine_classes).tolist() == [8, 1, 4]
    assert np.bincount(validation.noise_classes).tolist() == [1, 1]
    for part in (training, validation):
        batch = part.__getitems__([Key(0, row, 0) for row in range(len(part))])
        assert [part.machine_class_names[c] for c in batch["machine_class"]] == part.machines["machine_type"][:]
    clips = [{row[0] for row in part.machines["audio"]} for part in (training, validation)]
    assert not clips[0] & clips[1]
    assert clips[0] | clips[1] == set(range(1, 17))


def test_when_share_leaves_a_side_empty_then_error_says_which():
    with pytest.raises(ValueError, match=r"share of 0\.1 splits 3 clips of machines"):
        TrainingPairs(machine_table(), noise_table(), 8, sampling_rate=1).split(0.1, seed=0)
