"""The same files are recordings as for the detector, whose package is not needed."""

import itertools
import os

import pytest
import soundfile
from tiny_scorer import RATE, ramp

from modeling_retainmix import audio_files
from retainmix_score import files


@pytest.fixture
def folder(tmp_path):
    """Recordings by suffix and by content, a link to a folder and one in a circle, and what is none."""
    root = tmp_path / "root"
    for name in ("b", ".hidden", "@eaDir", "empty"):
        (root / name).mkdir(parents=True)
    for name in ("a.wav", "b/loud.WAV", ".hidden/c.wav", "@eaDir/d.wav", ".e.wav", "b/no_suffix", "f.bwf"):
        soundfile.write(root / name, ramp(1000), RATE, format="WAV")
    for name in ("notes.txt", "film.mp4", "g.wav.gz", "thumbs.db"):
        (root / name).write_bytes(b"no sound")
    (root / "gone.flac").symlink_to(root / "nothing.flac")
    (root / "linked").symlink_to(root / "b")
    (root / "b" / "circle").symlink_to(root)
    return root


def test_when_a_folder_is_searched_then_the_detector_finds_the_same(folder):
    expected, found = audio_files.find_audio_files(folder), files.find_recordings([str(folder)])
    assert found.files == [str(path) for path in expected.files] and len(found.files) == 6
    assert set(found.problems) == {str(path) for path in expected.problems} and len(found.problems) == 3
    assert found.num_others == 1


def test_when_suffixes_are_known_then_they_are_those_of_the_detector():
    assert files.READABLE == audio_files._READABLE and files.OTHER_SOUND == audio_files._OTHER_SOUND
    assert files._SYSTEM_FOLDERS == audio_files._SYSTEM_FOLDERS and files._SYSTEM_FILES == audio_files._SYSTEM_FILES


def test_when_places_are_named_then_their_order_stays_and_a_missing_one_is_an_error(folder, tmp_path):
    given = [str(folder / "f.bwf"), str(folder / "b"), str(folder / "a.wav")]
    found = files.find_recordings(given).files
    assert found[0] == given[0] and found[-1] == given[2] and len(found) > 3
    with pytest.raises(FileNotFoundError, match="missing does not exist: check the path"):
        files.find_recordings([given[0], str(tmp_path / "missing")])
    with pytest.raises(ValueError, match=r"empty holds no sound file \(\.16svx, "):
        files.find_recordings([str(folder / "empty")])


def test_when_links_lead_to_a_folder_by_many_ways_then_the_search_ends(tmp_path):
    places = [tmp_path / str(index) for index in range(9)]
    for place in places:
        place.mkdir()
    for first, second in itertools.pairwise(places):
        for name in "ab":
            (first / name).symlink_to(second)
    with pytest.raises(ValueError, match="by more than 100 ways"):
        files.find_recordings([str(places[0])])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any folder")
def test_when_a_folder_cannot_be_opened_then_it_is_named(folder):
    (folder / "empty").chmod(0)
    found = files.find_recordings([str(folder)])
    assert "cannot be opened" in found.problems[str(folder / "empty")]
