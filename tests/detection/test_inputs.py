"""Clips come in pairs with two microphones; domains come from the user, or from DCASE file names."""

import numpy as np
import pytest
import torch
from datasets import Dataset

from modeling_retainmix.detection.cancellation import cancel_far
from modeling_retainmix.detection.inputs import check_normal, clip_sources, reference_domains

NAMES = ["fan/section_00_source_train_normal_0000_a.wav", "fan/section_00_target_train_normal_0001_a.wav"]


def test_without_domains_they_are_those_of_dcase_names():
    assert reference_domains(NAMES, None) == ["source", "target"]


@pytest.mark.parametrize("other", ["clip 3", "hum.wav", "section_00_0000.wav"])
def test_when_one_name_has_no_domain_then_all_count_as_one(other):
    assert reference_domains([*NAMES, other], None) == ["source"] * 3


def test_when_domains_are_given_then_names_are_not_read():
    assert reference_domains(NAMES, ["target", "target"]) == ["target", "target"]


@pytest.mark.parametrize(
    ("domains", "message"),
    [
        (["source"], "1 domains for 2 references: pass one for each clip"),
        (["source", "Target"], r"normal_0001_a\.wav has domain 'Target': use 'source' or 'target'"),
        ([0, 2], "has domain 2: use 'source' or 'target'"),
        ([0.0, 1.0], "has domain 0.0: use"),
        ("usual", "domains='usual' \\(--group\\) has no parentheses"),
        ("(nowhere)", r"normal_0000_a\.wav does not match domains='\(nowhere\)'"),
        (np.zeros((2, 1)), r"domains have shape \[2, 1\]"),
    ],
)
def test_when_domains_do_not_fit_the_clips_then_error_names_the_value(domains, message):
    with pytest.raises(ValueError, match=message):
        reference_domains(NAMES, domains)


@pytest.mark.parametrize(
    "domains",
    [
        ("source", "target"),
        np.asarray(["source", "target"]),
        [0, 1],
        [False, True],
        np.asarray([0, 1]),
        np.asarray([False, True]),
        torch.tensor([0, 1], dtype=torch.int32),
        torch.tensor([False, True]),
        Dataset.from_dict({"domain": ["source", "target"]})["domain"],
    ],
)
def test_domains_may_be_names_or_numbers_in_any_container(domains):
    assert reference_domains(NAMES, domains) == ["source", "target"]


def test_when_domains_are_told_by_folders_or_a_table_then_the_few_are_the_target(tmp_path):
    names = ["cold/1.wav", "usual/1.wav", "usual/2.wav", "usual/3.wav", "hot/1.wav"]
    expected = ["target", "source", "source", "source", "target"]
    assert reference_domains(names, "folder") == expected
    rows = [f"{name},{name.split('/')[0]}" for name in names]
    (tmp_path / "table.csv").write_text("\n".join(["file,condition", *rows]))
    assert reference_domains(names, f"{tmp_path}/table.csv:condition") == expected


def test_when_references_are_added_then_one_domain_may_be_named_and_conditions_are_refused():
    assert reference_domains(NAMES, "target", are_added=True) == ["target"] * 2
    with pytest.raises(ValueError, match="domains='folder' tells domains by how frequent conditions are"):
        reference_domains(NAMES, "folder", are_added=True)


@pytest.mark.parametrize(
    "name",
    [
        "fan/test/section_00_source_test_anomaly_0003_f-n_A.wav",
        "fan/section_01_target_anomaly_0000.wav",
        "fan/test/anomaly_id_02_00000007.wav",
        "fan_section_00_source_test_anomaly_0003.flac",
        "id_00/abnormal/00000001.wav",
    ],
)
def test_when_a_reference_is_named_as_an_anomaly_then_error_names_it(name):
    with pytest.raises(ValueError, match=f"{name} of 3 references are named as anomalies: pass normal clips only"):
        check_normal([*NAMES, name])


def test_names_that_only_look_like_anomalies_are_references():
    check_normal(
        [*NAMES, "anomaly/healthy/1.wav", "section_00_source_train_normal_0001_anomaly_1.wav", "abnormal.wav"]
    )


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(0).normal(0, 0.1, (3, 4000)).astype(np.float32)


def test_near_and_far_clips_are_loaded_side_by_side(clips):
    (source,) = clip_sources("residual", clips[:1], 16000, far=clips[1:2])
    np.testing.assert_array_equal(source.load(), np.stack([clips[0], clips[1]], axis=1))
    (near,) = clip_sources("near", clips[:1], 16000)
    np.testing.assert_array_equal(near.load(), clips[0])


@pytest.mark.parametrize(("counts", "message"), [((3, 2), "clip 2 has no far clip"), ((1, 3), "clip 1 has no near")])
def test_when_there_are_more_clips_of_one_microphone_then_error_names_the_first_without_partner(
    clips, counts, message
):
    with pytest.raises(ValueError, match=f"{counts[0]} near and {counts[1]} far clips: {message}"):
        clip_sources("fusion", clips[: counts[0]], 16000, far=clips[: counts[1]])


def test_when_the_far_clip_is_cancelled_then_the_near_one_is_loaded_and_the_residual_processed():
    near, far = np.random.default_rng(0).normal(0, 0.1, (2, 2, 4000)).astype(np.float32)
    first, second = clip_sources("cancel", near, 16000, far=far)
    recorded = first.load()
    np.testing.assert_array_equal(recorded, near[0])
    np.testing.assert_array_equal(first.process(recorded), cancel_far(near[0], far[0]))
    np.testing.assert_array_equal(recorded, near[0])
    np.testing.assert_array_equal(second.process(second.load()), cancel_far(near[1], far[1]))
    (alone,) = clip_sources("near", near[0], 16000)
    np.testing.assert_array_equal(alone.process(alone.load()), near[0])


@pytest.mark.parametrize("microphones", ["cancel", "residual"])
def test_when_a_far_clip_is_missing_then_error_names_both_clips(tmp_path, microphones):
    near = np.random.default_rng(0).normal(0, 0.1, 4000)
    (source,) = clip_sources(microphones, near, 16000, far=[tmp_path / "far.wav"])
    with pytest.raises(FileNotFoundError, match=r"the far clip of clip 0 cannot be used: .*far\.wav does not exist"):
        source.process(source.load())
