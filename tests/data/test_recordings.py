"""One reader takes every layout, decides by what it finds, and its tables decode."""

import numpy as np
import pytest
import soundfile as sf

from modeling_retainmix.data import recordings
from modeling_retainmix.data.decoding import decode_table
from modeling_retainmix.data.layouts.columns import COLUMNS
from modeling_retainmix.data.layouts.dcase_sections import FAR_CHANNEL, NEAR_CHANNEL
from modeling_retainmix.data.recordings import read_recordings, scoring_rules

RATE = 16000


def write(path, channels=1, amplitude=0.5):
    path.parent.mkdir(parents=True, exist_ok=True)
    clip = amplitude * np.sin(np.arange(400))[:, None] / (1 + np.arange(channels))
    sf.write(path, clip, RATE)


def test_every_folder_layout_gives_the_same_columns(tmp_path):
    write(tmp_path / "2020/fan/train/normal_id_00_00000000.wav")
    write(tmp_path / "2021/fan/source_test/section_00_source_test_normal_0000.wav")
    write(tmp_path / "2023/fan/test/section_00_0000.wav")
    write(tmp_path / "own/a.wav")
    (tmp_path / "own/metadata.csv").write_text("file_name,machine_type\na.wav,fan\n")
    for name in ("2020", "2021", "2023", "own"):
        table = read_recordings(tmp_path / name)
        assert tuple(table.column_names) == COLUMNS
        assert table["machine_type"][:] == ["fan"]


@pytest.mark.parametrize(
    ("names", "rules"),
    [
        (("train/normal_id_00_00000000", "test/id_00_00000000"), 2020),
        (("train/section_00_source_train_normal_0000", "source_test/section_00_source_test_normal_0000"), 2021),
        (("train/section_00_source_train_normal_0000", "test/section_00_source_test_normal_0000"), 2023),
        (("train/section_00_source_train_normal_0000",), 2023),
    ],
)
def test_the_layout_tells_by_which_years_rules_recordings_are_scored(tmp_path, names, rules):
    for name in names:
        write(tmp_path / f"fan/{name}.wav")
    assert scoring_rules(read_recordings(tmp_path)) == rules


def test_several_years_together_are_scored_by_the_rules_of_the_last(tmp_path):
    write(tmp_path / "fan/source_test/section_00_source_test_normal_0000.wav")
    write(tmp_path / "pump/test/section_00_source_test_normal_0000.wav")
    write(tmp_path / "valve/test/normal_id_00_00000000.wav")
    assert scoring_rules(read_recordings(tmp_path)) == 2023


def test_when_recordings_have_two_channels_then_near_and_far_are_decoded(tmp_path):
    write(tmp_path / "ToyDrone/train/section_00_source_train_normal_0000_noAttribute.wav", channels=2)
    table = read_recordings(tmp_path)
    near, far = (
        np.array(decode_table(table, tmp_path / "cache", channel=channel)["audio"][0])
        for channel in (NEAR_CHANNEL, FAR_CHANNEL)
    )
    np.testing.assert_allclose(near, 2 * far, atol=2)
    with pytest.raises(ValueError, match=r"train_normal_0000.* has 2 channels and channel=None: use an index"):
        decode_table(table, tmp_path / "cache")


def test_when_clips_cannot_be_decoded_then_all_are_listed(tmp_path):
    for index in range(3):
        write(tmp_path / f"fan/test/section_00_000{index}.wav")
    for index in (0, 2):
        (tmp_path / f"fan/test/section_00_000{index}.wav").write_bytes(b"no sound")
    table = read_recordings(tmp_path)
    with pytest.raises(ValueError, match=r"2 clips cannot be used: .*section_00_0000\.wav.*section_00_0002\.wav"):
        decode_table(table, tmp_path / "cache")


def test_when_ground_truth_is_given_then_it_is_merged(tmp_path):
    write(tmp_path / "data/fan/test/section_00_0000.wav")
    for kind, value in (("data", 1), ("domain", 0)):
        folder = tmp_path / f"truth/ground_truth_{kind}"
        folder.mkdir(parents=True)
        (folder / "ground_truth_fan_section_00_test.csv").write_text(f"section_00_0000.wav,{value}\n")
    (row,) = read_recordings(tmp_path / "data", tmp_path / "truth")
    assert (row["label"], row["domain"]) == ("anomaly", "source")


def test_when_there_is_no_folder_then_a_name_is_looked_up_on_the_hub(monkeypatch):
    monkeypatch.setattr(recordings, "read_hub_table", lambda name, split: f"table of {name}, {split}")
    assert read_recordings("acme/no-such-folder") == "table of acme/no-such-folder, None"
    with pytest.raises(ValueError, match="acme/no-such-folder is no folder, to which ground_truth='truth' belongs"):
        read_recordings("acme/no-such-folder", "truth")


def test_when_a_split_is_chosen_then_others_are_left_out(tmp_path):
    for name in ("train/section_00_source_train_normal_0000", "supplemental/section_00_noise_0000"):
        write(tmp_path / f"fan/{name}.wav")
    assert read_recordings(tmp_path, split="train")["split"][:] == ["train"]
    with pytest.raises(ValueError, match="holds 2 recordings, but none of the split 'test'"):
        read_recordings(tmp_path, split="test")


def test_when_there_is_neither_folder_nor_name_then_error_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        read_recordings(tmp_path / "nowhere")
