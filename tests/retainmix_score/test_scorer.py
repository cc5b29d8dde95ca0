"""Windows, batches, thresholds and files of a scorer, with a graph whose score is the largest sample."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tiny_scorer import RATE, ramp, write_scorer

from modeling_retainmix.detection.windows import Windows
from retainmix_score import Scorer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def make(tmp_path):
    return partial(write_scorer, tmp_path)


@pytest.mark.parametrize("reduce", ["max", "mean", "first"])
@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("samples", [300, 999, 1000, 1001, 1500, 2300, 14_000])
def test_when_a_clip_is_cut_then_its_score_is_that_of_the_detectors_windows(make, samples, reduce, pad):
    windows = {"window_seconds": 1.0, "hop_seconds": 0.5, "reduce": reduce, "pad": pad}
    scorer, clip = Scorer(make(sum=True, windows=windows)), ramp(samples)
    cut = Windows(**windows)
    values = np.array([window.sum(dtype=np.float64) for _, window in cut.cut(clip, RATE)])
    expected = cut.reduce_scores(values, np.zeros(len(values), dtype=int))
    np.testing.assert_allclose(scorer.score(clip, RATE), expected, rtol=1e-5)


def test_when_clips_have_any_length_then_each_has_a_score_in_their_order(make):
    scorer = Scorer(make())
    assert scorer.score([0.2 * ramp(300), 0.9 * ramp(7_000), 0.4 * ramp(1000)], RATE) == pytest.approx([0.2, 0.9, 0.4])


def test_when_a_window_is_short_then_it_is_repeated_as_the_features_do(make):
    clip = ramp(150)
    assert Scorer(make(sum=True)).score(clip, RATE) == pytest.approx([2 * clip.sum()], rel=1e-5)
    assert Scorer(make(sum=True, repeat_below=None)).score(clip, RATE) == pytest.approx([clip.sum()], rel=1e-5)


def test_when_a_clip_is_judged_then_the_threshold_of_its_number_of_windows_counts(make):
    scorer = Scorer(make())
    assert [scorer.threshold(count) for count in (1, 2, 3, 4)] == [0.5, 0.6, 0.7, 0.7]
    clips = [0.55 * ramp(1000), 0.55 * ramp(1500), 0.65 * ramp(1500), 0.65 * ramp(2000), 0.75 * ramp(2500)]
    assert scorer.decide(clips, RATE).tolist() == [True, False, True, False, True]
    with pytest.raises(ValueError, match=r"a clip of 5 windows is longer than the thresholds reach \(4\)"):
        scorer.decide(ramp(3000), RATE)


def test_when_there_are_no_thresholds_then_deciding_says_so_and_scoring_works(make):
    scorer = Scorer(make(thresholds=None))
    assert scorer.score(ramp(500), RATE) == pytest.approx([1])
    with pytest.raises(ValueError, match="no thresholds: fit it with more references"):
        scorer.decide(ramp(500), RATE)


def test_when_a_clip_does_not_fit_the_encoder_then_the_error_names_it(make):
    with pytest.raises(ValueError, match=r"clip 1 is 0\.099 s long; at least 0\.1 s are needed"):
        Scorer(make()).score([ramp(500), ramp(99)], RATE)
    with pytest.raises(ValueError, match=r"clip 0 has windows of 1 s, and at most 0\.8 s"):
        Scorer(make(longest_samples=800)).score(ramp(1000), RATE)


def test_when_files_do_not_belong_together_then_the_scorer_refuses_them(make):
    folder = make()
    with pytest.raises(ValueError, match=r"scorer\.json does not belong to scorer\.onnx"):
        Scorer(make(sha256="0" * 64))
    with pytest.raises(ValueError, match="has format 2, this package reads 1"):
        Scorer(make(format=2))
    (folder / "scorer.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"scorer\.json is missing: pass a folder"):
        Scorer(folder)


def test_when_the_package_runs_then_neither_torch_nor_the_detector_is_loaded(make):
    """In a process where importing them is an error."""
    code = (
        "import sys; sys.modules |= dict.fromkeys(['torch', 'torchaudio', 'modeling_retainmix', 'scipy', 'onnx']);"
        "import numpy as np; from retainmix_score import Scorer;"
        f"print(Scorer({str(make())!r}).score(0.25 * np.hanning(3_001), 2 * {RATE})[0])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(run.stdout) == pytest.approx(0.25, rel=1e-3)
