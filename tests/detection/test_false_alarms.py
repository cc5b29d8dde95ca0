"""False alarms of the whole detector on normal clips that differ from the references in what is not the machine's."""

import json
import warnings

import numpy as np
import pytest
import soundfile as sf
from datasets import Audio, Dataset
from scipy import signal

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.audio import resample
from modeling_retainmix.detection.windows import ClipScore

RATE = 16000
WINDOW = 0.4  # seconds: a short one, so that long recordings are quick


@pytest.fixture(scope="module")
def machine():
    """Draw normal recordings: low-passed noise whose cut-off differs a little from one to the next."""
    generator = np.random.default_rng(0)

    def draw(count, seconds, rate=RATE):
        samples = round(seconds * rate)
        frequencies = np.fft.rfftfreq(samples, 1 / rate)
        clips = []
        for _ in range(count):
            cutoff = 1500 * np.exp(0.15 * generator.normal())
            spectrum = np.fft.rfft(generator.normal(0, 0.1, samples)) / (1 + (frequencies / cutoff) ** 2)
            clips.append(np.fft.irfft(spectrum, samples).astype(np.float32))
        return clips

    return draw


@pytest.fixture
def load(tiny_checkpoint):
    def load(**settings):
        settings = {"window_seconds": WINDOW, "hop_seconds": WINDOW / 2} | settings
        return AnomalyDetector.from_pretrained(tiny_checkpoint, device="cpu", **settings)

    return load


def quietly(call, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*arguments, **options)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["mahalanobis", "knn"])
@pytest.mark.parametrize("reference_seconds", [WINDOW, 6 * WINDOW])
def test_longer_clips_are_false_alarms_about_as_often_as_asked(load, machine, backend, reference_seconds):
    detector = load(backend=backend).fit(machine(60, reference_seconds), RATE)
    for factor, count in ((1, 60), (6, 40), (30, 20)):
        clips = machine(count, factor * WINDOW)
        assert quietly(detector.decide, clips, RATE, 0.1).mean() <= 0.25
    longest = detector.score(clips, RATE)  # one threshold for all lengths cries wolf
    assert (longest > quietly(detector.threshold, 0.1)).mean() > 0.3


def test_decisions_use_the_number_of_windows_of_each_clip(load, machine):
    detector = load(backend="knn").fit(machine(12, WINDOW), RATE)
    clips = [clip for seconds in (WINDOW, 5 * WINDOW) for clip in machine(4, seconds)]
    expected = detector.score(clips, RATE) > np.repeat([detector.threshold(0.2, num_windows=n) for n in (1, 9)], 4)
    np.testing.assert_array_equal(detector.decide(clips, RATE, 0.2), expected)
    assert detector.settings.windows.count(len(clips[-1]), RATE) == 9
    with pytest.raises(ValueError, match="num_windows=0: a clip has at least 1 window"):
        detector.threshold(num_windows=0)


@pytest.mark.parametrize("backend", ["knn", "mahalanobis", "density", "pca"])
def test_copies_among_the_references_leave_the_threshold_as_it_is(load, machine, tmp_path, backend):
    clips = machine(12, WINDOW)
    settings = {"backend": backend, "density_neighbors": 2}
    once = load(**settings).fit(clips, RATE)
    for index, clip in enumerate(clips):
        sf.write(tmp_path / f"{index:02d}.wav", clip, RATE, subtype="FLOAT")
        sf.write(tmp_path / f"{index:02d}_copy.flac", clip, RATE, subtype="PCM_24")
    twice = load(**settings)
    with pytest.warns(UserWarning, match=r"more than once among the references: \S+00\.wav = \S+00_copy\.flac; "):
        twice.fit(tmp_path)
    tests = machine(40, WINDOW)
    alarms = (twice.score(tests, RATE) > twice.threshold(0.1)).mean()
    assert alarms <= (once.score(tests, RATE) > once.threshold(0.1)).mean() + 0.1 < 0.5
    assert len(twice.reference_names) == 24
    if backend == "knn":
        assert twice.threshold(0.1) == pytest.approx(once.threshold(0.1), rel=0.05)


def test_a_copy_that_is_added_later_or_after_loading_is_named_too(load, machine, tmp_path):
    clips = machine(4, WINDOW)
    load().fit(clips, RATE).save_pretrained(tmp_path)
    loaded = AnomalyDetector.from_pretrained(tmp_path, device="cpu")
    with pytest.warns(UserWarning, match="among the references: clip 2 = clip 0: copies"):
        loaded.add_references([clips[2]], RATE)
    with pytest.raises(
        ValueError, match="clip 1 and clip 3 are the same recording, once as source and once as target"
    ):
        load().fit([clips[0], clips[1], clips[2], clips[1]], RATE, ["source", "source", "target", "target"])


def test_tests_of_another_bandwidth_are_named_and_compared_in_the_common_band(load, machine):
    def narrow(clips):
        return [resample(clip[::2], RATE // 2, RATE) for clip in clips]

    references, tests = narrow(machine(40, WINDOW)), machine(30, WINDOW)
    plain = load(backend="knn").fit(references, RATE)
    with pytest.warns(
        UserWarning, match="30 clips differ .*Bandwidth 8000 Hz, references .*max_frequency=3"
    ) as warned:
        alarms = plain.decide(tests, RATE, 0.1).mean()
    assert alarms == 1 and len(warned) == 1
    common = load(backend="knn", max_frequency=3300).fit(references, RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert common.decide(tests, RATE, 0.1).mean() <= 0.3


def test_files_of_another_rate_are_named_once_a_call(load, machine, tmp_path):
    for folder, rate in (("a", 8000), ("b", 16000)):
        (tmp_path / folder).mkdir()
        for index, clip in enumerate(machine(10, WINDOW, rate)):
            sf.write(tmp_path / folder / f"{index}.wav", clip, rate)
    detector = load(backend="knn").fit(tmp_path / "a")
    message = r"\(in \S+b\)\. Sampling rate 16000 Hz, references 8000 Hz.* \(0\.wav, 1\.wav, 2\.wav and 7 more\)"
    for call in (detector.score, detector.score_windows, detector.decide, detector.explain):
        with pytest.warns(UserWarning, match=message) as warned:
            call(tmp_path / "b")
        assert len(warned) == 1
    detector.save_pretrained(tmp_path / "saved")
    with pytest.warns(UserWarning, match=message):
        AnomalyDetector.from_pretrained(tmp_path / "saved", device="cpu").score(tmp_path / "b")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda clip: signal.sosfilt(signal.butter(4, 300, "highpass", fs=RATE, output="sos"), clip),
            r"Loss of low frequencies \d\d to \d\d dB, references -?\d+ to",
        ),
        (
            lambda clip: signal.sosfilt(signal.cheby2(12, 80, 7200, fs=RATE, output="sos"), clip),
            r"Bandwidth [67]\d{3} .*8000",
        ),
        (lambda clip: clip * (np.arange(len(clip)) < 0.7 * len(clip)), "Share without sound [23]"),
    ],
)
def test_filtered_and_padded_tests_ring_and_are_named(load, machine, change, message):
    detector = load(backend="knn").fit(machine(30, 2 * WINDOW), RATE)
    tests = machine(20, 2 * WINDOW)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert detector.decide(tests, RATE, 0.1).mean() <= 0.2
    with pytest.warns(UserWarning, match=f"20 clips differ .*{message}") as warned:
        assert detector.decide([change(clip) for clip in tests], RATE, 0.1).mean() >= 0.4
    assert len(warned) == 1


@pytest.mark.parametrize("kind", ["mp3", "ogg", "opus"])
def test_coded_files_are_named_against_files_without_loss(load, machine, tmp_path, kind):
    options = {"format": "OGG", "subtype": "OPUS"} if kind == "opus" else {}
    for folder, suffix in (("a", "wav"), ("b", kind), ("c", "flac")):
        (tmp_path / folder).mkdir()
        for index, clip in enumerate(machine(6, WINDOW)):
            sf.write(tmp_path / folder / f"{index}.{suffix}", clip, RATE, **(options if folder == "b" else {}))
    detector = load(backend="knn").fit(tmp_path / "a")
    name = {"mp3": "MP3", "ogg": "Vorbis", "opus": "Opus"}[kind]
    message = rf"File format {name}, references lossless \(0\.{kind}, 1\.{kind}, 2\.{kind} and 3 more\)"
    with pytest.warns(UserWarning, match=message) as warned:
        detector.score(tmp_path / "b")
    assert len(warned) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.score(tmp_path / "c")
        load(backend="knn").fit(tmp_path / "b").score(tmp_path / "b")


def test_when_one_channel_of_a_file_is_read_then_the_others_are_not_a_difference(load, machine, tmp_path):
    clips = machine(8, WINDOW)
    for index, clip in enumerate(clips):
        samples = clip if index < 4 else np.stack([clip, clips[0]], axis=1)
        (tmp_path / str(index < 4)).mkdir(exist_ok=True)
        sf.write(tmp_path / str(index < 4) / f"{index}.wav", samples, RATE)
    detector = load(backend="knn").fit(tmp_path / "True")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.score(tmp_path / "False", channel=0)
    with pytest.warns(UserWarning, match="Channels 2, references 1"):
        detector.score(tmp_path / "False", channel="mean")


def test_clips_much_shorter_than_the_references_are_named_and_the_window_can_be_theirs(load, machine):
    references, tests = machine(40, WINDOW), machine(40, WINDOW / 2.1)
    with pytest.warns(UserWarning, match=r"Length 0\.191 s, references 0\.4 s .*window_seconds=0\.191"):
        load(backend="knn").fit(references, RATE).score(tests, RATE)
    alike = load(backend="knn", window_seconds=0.19, hop_seconds=0.1).fit(references, RATE)
    assert quietly(alike.decide, tests, RATE, 0.1).mean() <= 0.3


def test_when_a_reference_is_named_as_an_anomaly_then_fit_refuses_it(load, machine, tmp_path):
    names = ["section_00_source_train_normal_0000_a", "section_00_source_test_anomaly_0000_a"]
    for name, clip in zip(names, machine(2, WINDOW), strict=True):
        sf.write(tmp_path / f"{name}.wav", clip, RATE)
    with pytest.raises(ValueError, match=r"section_00_source_test_anomaly_0000_a\.wav of 2 references are named"):
        load().fit(tmp_path)
    paths = [str(tmp_path / f"{name}.wav") for name in names]
    table = Dataset.from_dict({"file": paths, "sound": paths}).cast_column("sound", Audio(decode=False))
    for column in (table["file"], table["sound"], table.cast_column("sound", Audio())["sound"]):
        with pytest.raises(ValueError, match=r"section_00_source_test_anomaly_0000_a\.wav of 2 references are named"):
            load().fit(column)


def test_saved_json_holds_thresholds_by_windows(load, machine, tmp_path):
    detector = load(backend="knn").fit(machine(12, WINDOW), RATE)
    detector.save_pretrained(tmp_path)
    table = json.loads((tmp_path / "detector.json").read_text())["thresholds"]
    assert table["by_windows"]["4"] == pytest.approx(detector.threshold(0.1, num_windows=4))
    load(normalization="test").fit(machine(4, WINDOW), RATE).save_pretrained(tmp_path / "test")
    assert json.loads((tmp_path / "test" / "detector.json").read_text())["thresholds"] is None


def test_each_score_is_reported_with_its_windows_as_soon_as_it_is_known(load, machine):
    clips = [*machine(2, WINDOW), *machine(1, 3 * WINDOW)]
    clips[1] = clips[1][:100]
    for normalization in ("references", "test"):
        detector = load(backend="knn", normalization=normalization).fit(machine(6, WINDOW), RATE)
        reported: list[ClipScore] = []
        scores = quietly(detector.score, clips, RATE, on_error=lambda error: None, on_score=reported.append)
        reported.sort()
        np.testing.assert_allclose([clip.score for clip in reported], scores, rtol=1e-5)
        assert [(clip.position, clip.num_windows) for clip in reported] == [(0, 1), (1, 0), (2, 5)]
