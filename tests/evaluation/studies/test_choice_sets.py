"""Real machines of the choice: roles, noise of keyed draws, embeddings in the order of the clips."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
import torch

from modeling_retainmix.evaluation.studies.choice_sets import read_noise, read_real_sets

RATE = 16000


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)

    def write(path, seconds):
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, 0.1 * generator.normal(size=round(seconds * RATE)), RATE)

    for domain, seconds in (("source", 0.5), ("target", 6)):
        for index in range(2):
            write(tmp_path / f"real/fan/train/section_00_{domain}_train_normal_{index:04}_.flac", seconds)
            for label in ("normal", "anomaly"):
                write(tmp_path / f"real/fan/test/section_00_{domain}_test_{label}_{index:04}_.flac", seconds)
    for kind in ("stationary", "non_stationary"):
        for index in range(3):
            write(tmp_path / f"noise/{kind}/x_rain_{index}.flac", 0.3 + index)
    return tmp_path


def test_sets_have_the_roles_of_their_names_and_clips_are_cut(folder):
    (fan,) = read_real_sets(folder)
    assert fan.name == "fan" and len(fan.waveforms) == 12
    assert fan.is_reference.sum() == 4 and fan.is_target_domain.sum() == 6 and fan.is_anomaly.sum() == 4
    assert {len(waveform) for waveform in fan.waveforms} == {RATE // 2, 5 * RATE}


def test_noise_has_the_kind_of_the_role_the_snr_and_depends_on_the_draw(folder):
    (fan,) = read_real_sets(folder)
    noise = read_noise(folder / "noise")
    quiet = {kind: [np.ones_like(one) for one in clips] for kind, clips in noise.items()}
    quiet["stationary"] = [-one for one in quiet["stationary"]]
    for clip, mixture, is_reference in zip(
        fan.waveforms, fan.mixed(quiet, ("stationary", "non_stationary"), 10.0, 0), fan.is_reference, strict=True
    ):
        added = mixture - clip
        assert (added < 0).all() if is_reference else (added > 0).all()
        assert 10 * np.log10((clip**2).mean() / (added**2).mean()) == pytest.approx(10, abs=1e-3)
    first, again, other = (fan.mixed(noise, ("stationary", "stationary"), 0.0, draw) for draw in (0, 0, 1))
    for one, two, three in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, two)
        assert not np.array_equal(one, three)


def test_embeddings_come_in_the_order_of_the_clips(folder):
    (fan,) = read_real_sets(folder)
    embedder = SimpleNamespace(embed=lambda batch: {0: batch.square().mean(dim=1, keepdim=True)})
    embeddings = fan.embed(embedder, fan.waveforms, batch_size=2)
    expected = [float((waveform**2).mean()) for waveform in fan.waveforms]
    torch.testing.assert_close(embeddings[0][:, 0], torch.tensor(expected), rtol=1e-5, atol=0)
    references, tests = fan.split(embeddings)
    assert len(references[0]) == 4 and len(tests[0]) == 8


def test_when_there_is_nothing_to_read_then_error_names_the_folder(folder):
    with pytest.raises(FileNotFoundError, match="holds no folder of machines"):
        read_real_sets(folder / "noise" / "stationary")
    with pytest.raises(FileNotFoundError, match=r"real.*holds no FLAC file"):
        read_noise(folder / "real")
