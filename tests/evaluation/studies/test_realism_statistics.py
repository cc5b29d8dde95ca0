"""Statistics of the realism study against naive twins."""

import numpy as np
import pytest
import torch
import torchaudio

from modeling_retainmix.evaluation.studies import realism_statistics as statistics

RATE = 16000


def _noise(clips=3, seconds=2.5, seed=0):
    return np.random.default_rng(seed).standard_normal((clips, round(seconds * RATE))).astype(np.float32)


def test_one_level_removes_mean_and_level():
    leveled = statistics.one_level(np.float32(0.2) + np.array([[0.01], [3.0]], dtype=np.float32) * _noise(2))
    np.testing.assert_allclose(leveled.mean(axis=1), 0.0, atol=1e-6)
    np.testing.assert_allclose(20 * np.log10(np.sqrt(np.mean(leveled.astype(float) ** 2, axis=1))), -30.0, atol=1e-3)


def test_one_level_leaves_silence_finite():
    assert np.isfinite(statistics.one_level(np.zeros((1, 800), dtype=np.float32))).all()


def test_centers_are_those_of_kaldis_filters():
    filters = torchaudio.compliance.kaldi.get_mel_banks(128, 512, 16000.0, 20.0, 0.0, 100.0, -500.0, 1.0)[0].numpy()
    hertz = np.arange(filters.shape[1]) * 16000 / 512
    high = np.arange(60, 128)  # wide enough for a center of gravity
    gravity = (filters[high] * hertz).sum(axis=1) / filters[high].sum(axis=1)
    np.testing.assert_allclose(statistics.mel_centers()[high], gravity, rtol=0.01)


def test_regions_are_disjoint_and_cover_all_bands():
    regions = np.stack([statistics.region_bands(region) for region in statistics.REGIONS_HZ])
    assert (regions.sum(axis=1) >= 4).all()
    np.testing.assert_array_equal(regions.sum(axis=0), statistics.all_bands().astype(int))


def test_clip_statistics_equal_those_of_kaldis_filter_bank():
    waveforms = _noise(3) * np.float32(0.03)
    described = statistics.describe(waveforms, batch_size=2)
    for index, waveform in enumerate(waveforms):
        mel = torchaudio.compliance.kaldi.fbank(torch.from_numpy(waveform[None] * 32768), num_mel_bins=128)
        mel = 10 * mel.double().numpy() / np.log(10)
        np.testing.assert_allclose(described.spectrum[index], mel.mean(axis=0), atol=0.01)
        np.testing.assert_allclose(described.fluctuation[index], mel.std(axis=0), atol=0.01)
        halves = [mel[start : start + 50].mean(axis=0) for start in range(0, len(mel) - 49, 50)]
        np.testing.assert_allclose(described.drift[index], np.std(halves, axis=0, ddof=1), atol=0.01)
    np.testing.assert_allclose(statistics.mean_spectrum(waveforms, batch_size=2), described.spectrum, atol=1e-6)


@pytest.mark.parametrize(("rate_hz", "band"), [(2.0, 0), (6.0, 1), (20.0, 2)])
def test_modulation_of_the_level_is_found_in_its_band_with_its_deviation(rate_hz, band):
    seconds = np.arange(round(2.5 * RATE)) / RATE
    course_db = 4.0 * np.sin(2 * np.pi * rate_hz * seconds)
    carrier = np.sign(np.sin(2 * np.pi * 1000 * seconds + 0.1))  # of one level in every frame
    found = statistics.level_modulation((0.05 * carrier * 10 ** (course_db / 20))[None])[0]
    assert found[band] == pytest.approx(4.0 / np.sqrt(2), rel=0.08)
    assert np.delete(found, band).max() < 0.3


def test_variance_components_recover_those_of_a_random_model():
    rng = np.random.default_rng(0)
    recordings, clips = 400, 5
    values = rng.normal(0, 3.0, (recordings, 1, 2)) + rng.normal(0, 1.0, (recordings, clips, 2))
    names = np.repeat(np.arange(recordings).astype(str), clips)
    groups = np.repeat(["a", "b"], recordings * clips // 2)
    values = values.reshape(-1, 2) + np.where(groups == "a", 100.0, 0.0)[:, None]  # a group's mean counts for nothing
    within, between = statistics.variance_components(values, names, groups)
    np.testing.assert_allclose(within, 1.0, rtol=0.1)
    np.testing.assert_allclose(between, 9.0, rtol=0.15)


def test_variance_components_equal_a_naive_computation():
    values = np.array([[1.0], [3.0], [7.0], [9.0], [11.0], [4.0]])
    names, groups = np.array(list("ppqqqr")), np.array(list("xxxxxy"))
    within = (1 + 1 + 4 + 0 + 4) / 3  # of p about 2, of q about 9; r has one clip
    means = ((2 - 5.5) ** 2 + (9 - 5.5) ** 2) / 1  # group y has one recording
    result = statistics.variance_components(values, names, groups)
    assert result[0] == pytest.approx(within)
    assert result[1] == pytest.approx(means - within * (1 / 2 + 1 / 3 + 1 / 1) / 3)


def test_variance_components_that_cannot_be_estimated_are_not_numbers():
    within, between = statistics.variance_components(np.zeros((2, 1)), np.array(["p", "q"]), np.array(["x", "y"]))
    assert np.isnan(within).all()
    assert np.isnan(between).all()


def test_number_of_directions_is_that_of_an_eigenvalue_count():
    values = np.random.default_rng(1).normal(0, [5, 4, 3, 1, 0.5, 0.1], (30, 6))
    spectrum = np.sort(np.linalg.eigvalsh(np.cov(values.T)))[::-1]
    naive = next(k for k in range(1, 7) if spectrum[:k].sum() >= 0.9 * spectrum.sum())
    assert statistics.directions_for(values) == naive
    assert statistics.directions_for(np.outer(np.arange(5.0), [1.0, 2.0])) == 1


def test_effect_of_a_fault_is_measured_by_the_spread_of_normals_one_fault_and_group_at_a_time():
    rng = np.random.default_rng(0)
    rows, names = [], []
    for group, level in (("m1", 0.0), ("m2", 50.0)):
        for recording in range(200):
            offset = level + rng.normal(0, 4)
            rows += [offset + rng.normal(0, 3) for _ in range(4)]
            names += [("", f"{group}{recording}", group)] * 4
        for fault, shift in (("up", 10.0), ("down", -10.0)):
            rows += [level + shift] * 3
            names += [(fault, f"{group}{fault}", group)] * 3
    rows += [999.0]  # a machine without normal clips
    names += [("up", "m3", "m3")]
    faults, recordings, groups = (np.array(column) for column in zip(*names, strict=True))
    effect = statistics.fault_effect(np.array(rows)[:, None], faults, recordings, groups)
    assert effect[0] == pytest.approx(10 / 5, rel=0.1)


def test_effect_without_faults_is_not_a_number():
    names = np.array(["", ""])
    assert np.isnan(statistics.fault_effect(np.zeros((2, 3)), names, names, names)).all()


@pytest.mark.parametrize(("source", "target"), [(1, 0), (2, 0), (2, 1), (5, 1), (100, 10)])
def test_whitened_distances_equal_a_naive_computation(source, target):
    rng = np.random.default_rng(source)
    is_target_domain = np.arange(source + target) >= source
    references = rng.normal(0, np.arange(1, 9), (source + target, 8)) + 20.0 * is_target_domain[:, None]
    queries = rng.normal(0, 5, (6, 8))
    means = {domain: references[is_target_domain == domain].mean(axis=0) for domain in set(is_target_domain.tolist())}
    residuals = np.array([x - means[domain] for x, domain in zip(references, is_target_domain.tolist(), strict=True)])
    n, dim = residuals.shape
    scatter = sum(np.outer(r, r) for r in residuals) / n
    mu = np.trace(scatter) / dim
    identity = np.eye(dim)
    if mu == 0:
        covariance = identity
    else:  # Ledoit and Wolf 2004: b^2 / d^2
        d2 = np.sum((scatter - mu * identity) ** 2) / dim
        b2 = min(sum(np.sum((np.outer(r, r) - scatter) ** 2) for r in residuals) / n**2 / dim, d2)
        rho = max(b2 / d2 if b2 else 0.0, 1 / (1 + n - len(means)))
        covariance = (1 - rho) * scatter + rho * mu * identity
    inverse = np.linalg.inv(covariance)
    naive = [min(np.sqrt((q - r) @ inverse @ (q - r)) for r in references) for q in queries]
    np.testing.assert_allclose(statistics.whitened_distances(queries, references, is_target_domain), naive, rtol=1e-9)


def test_mean_auc_averages_over_the_domains_that_have_both_labels():
    score = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    anomaly, target = np.array([False, True, True, False, False]), np.array([False, False, True, True, True])
    assert statistics.mean_auc(score, anomaly, target) == 50.0  # 100 in the source domain, 0 in the target domain
    assert statistics.mean_auc(score[:3], anomaly[:3], target[:3]) == 100.0
    assert np.isnan(statistics.mean_auc(score[3:], anomaly[3:], target[3:]))


def test_mixtures_add_every_segment_once_before_one_comes_again():
    noise = np.arange(1.0, 4.0)[:, None] * np.ones((3, 4))
    mixtures = statistics.mixed(np.zeros((6, 4)), noise, np.random.default_rng(0))
    assert sorted(mixtures[:3, 0]) == sorted(mixtures[3:, 0]) == [1.0, 2.0, 3.0]


def test_within_class_spread_ignores_what_lies_between_classes():
    values = np.array([[0.0], [2.0], [100.0], [104.0], [102.0]])
    spread = statistics.within_class_spread(values, ["a", "a", "b", "b", "b"])
    assert spread[0] == pytest.approx(np.sqrt((1 + 1 + 4 + 4 + 0) / 3))
