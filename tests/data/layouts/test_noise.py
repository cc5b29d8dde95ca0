"""Noise folders give class and kind; missing and empty ones are named."""

import pytest

from modeling_retainmix.data.layouts.noise import noise_class, read_noise_folder


@pytest.fixture
def root(tmp_path):
    for name in ("stationary/rain_1.wav", "non_stationary/esc10_baby_cry_1-187207-A.flac"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_when_layout_is_sound_then_rows_tell_kind_and_class(root):
    rows = [(row["kind"], row["noise_class"], row["factory"]) for row in read_noise_folder(root)]
    assert rows == [("stationary", "rain", ""), ("non_stationary", "esc10_baby_cry", "")]


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("esc10_baby_cry_1-187207-A", "esc10_baby_cry"),
        ("esc10_baby_cry", "esc10_baby_cry"),
        ("rain", "rain"),
        ("press_05", "press"),
        ("line2_press_05", "line2_press"),
    ],
)
def test_class_is_the_name_without_a_last_part_that_holds_a_digit(stem, expected):
    assert noise_class(stem) == expected


def test_when_a_kind_is_missing_or_empty_then_error_names_it(root):
    (root / "stationary" / "rain_1.wav").unlink()
    with pytest.raises(ValueError, match="stationary holds no sound file"):
        read_noise_folder(root)
    (root / "stationary").rmdir()
    with pytest.raises(FileNotFoundError, match="stationary does not exist"):
        read_noise_folder(root)
