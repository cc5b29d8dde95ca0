"""Statistics of clips that say how like real recordings a synthetic benchmark is: spreads, faults, modulation.

All clips are brought to one level first: the level tells nothing, neither of the factory's clips nor of recordings
that were scaled. Spectra are log-mel energies in dB.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import fft
from scipy.spatial.distance import cdist
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.metrics import roc_auc_score

from modeling_retainmix.encoders.fbank import kaldi_fbank

DB_PER_NEPER = 10.0 / np.log(10.0)  # of the natural logarithm of an energy
LEVEL_RMS = 10.0 ** (-30.0 / 20.0)
FULL_SCALE = 32768.0  # the filter bank takes samples of int16
FRAMES_PER_SECOND = 100
DRIFT_FRAMES = 50  # half a second
MODULATION_HZ = ((0.8, 3.0), (3.0, 10.0), (10.0, 30.0))
# Edges of the regions in Hz: above 5.5 kHz the recordings of one real set hold nothing.
REGIONS_HZ = ((50.0, 250.0), (250.0, 1000.0), (1000.0, 2500.0), (2500.0, 5500.0))


@dataclass(frozen=True)
class ClipStatistics:
    """Statistics of clips, one row per clip.

    Attributes:
        spectrum: [clips, 128] mean over time of the log-mel energies, dB.
        fluctuation: [clips, 128] their standard deviation over time, dB.
        drift: [clips, 128] standard deviation of their means over half a second each, dB.
        modulation: [clips, bands] standard deviation of the level in each of `MODULATION_HZ`, dB.
    """

    spectrum: np.ndarray
    fluctuation: np.ndarray
    drift: np.ndarray
    modulation: np.ndarray


def mel_centers() -> np.ndarray:
    """Return the center frequencies of the 128 filters in Hz."""
    edges = np.linspace(1127.0 * np.log1p(20.0 / 700.0), 1127.0 * np.log1p(8000.0 / 700.0), 130)
    return 700.0 * np.expm1(edges[1:-1] / 1127.0)


def region_bands(region: tuple[float, float]) -> np.ndarray:
    """Return which mel bands have their centers in a region of frequencies, [128] bool."""
    centers = mel_centers()
    return (centers >= region[0]) & (centers < region[1])


def all_bands() -> np.ndarray:
    """Return which mel bands lie in any of the regions, [128] bool."""
    return region_bands((REGIONS_HZ[0][0], REGIONS_HZ[-1][1]))


def one_level(waveforms: np.ndarray) -> np.ndarray:
    """Return waveforms [clips, samples] without their means, each scaled to -30 dB of full scale, float32."""
    centered = waveforms.astype(np.float64) - waveforms.mean(axis=1, keepdims=True, dtype=np.float64)
    rms = np.sqrt(np.mean(np.square(centered), axis=1, keepdims=True))
    return (centered * (LEVEL_RMS / np.maximum(rms, 1e-12))).astype(np.float32)


def log_mel_db(waveforms: np.ndarray) -> np.ndarray:
    """Return log-mel energies [clips, frames, 128] in dB."""
    return kaldi_fbank(torch.from_numpy(waveforms) * FULL_SCALE).numpy().astype(np.float64) * DB_PER_NEPER


def mean_spectrum(waveforms: np.ndarray, batch_size: int = 64) -> np.ndarray:
    """Return the mean over time of log-mel energies of waveforms [clips, samples]: [clips, 128], dB."""
    starts = range(0, len(waveforms), batch_size)
    return np.concatenate([log_mel_db(waveforms[start : start + batch_size]).mean(axis=1) for start in starts])


def describe(waveforms: np.ndarray, batch_size: int = 64) -> ClipStatistics:
    """Return the statistics of waveforms [clips, samples], which should be of one level, at least a second long."""
    parts = []
    for start in range(0, len(waveforms), batch_size):
        part = waveforms[start : start + batch_size]
        mel = log_mel_db(part)
        pieces = mel.shape[1] // DRIFT_FRAMES
        means = mel[:, : pieces * DRIFT_FRAMES].reshape(len(mel), pieces, DRIFT_FRAMES, -1).mean(axis=2)
        parts.append((mel.mean(axis=1), mel.std(axis=1), means.std(axis=1, ddof=1), level_modulation(part)))
    return ClipStatistics(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def level_modulation(waveforms: np.ndarray) -> np.ndarray:
    """Measure how strongly the level (dB, 10 ms frames) moves in each of `MODULATION_HZ`: [clips, bands], dB.

    By Parseval: the power of the level's Fourier coefficients within a band, as the standard deviation it stands for.
    """
    frame = 16000 // FRAMES_PER_SECOND
    count = waveforms.shape[1] // frame
    power = np.square(waveforms[:, : count * frame].astype(np.float64)).reshape(len(waveforms), count, frame)
    level = 10.0 * np.log10(power.mean(axis=2) + 1e-12)
    spectrum = np.abs(fft.rfft(level - level.mean(axis=1, keepdims=True), axis=1)) ** 2 * 2.0 / count**2
    rate = fft.rfftfreq(count, 1.0 / FRAMES_PER_SECOND)
    return np.stack(
        [np.sqrt(spectrum[:, (rate >= low) & (rate < high)].sum(axis=1)) for low, high in MODULATION_HZ], axis=1
    )


def variance_components(
    values: np.ndarray, recordings: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the variance within and between recordings of one group (one machine in one domain), per band.

    The estimates of a one-way random model: the scatter of clips about their recording's mean; and the scatter of
    recordings' means about their group's mean, less what the first one contributes to it (not below 0).

    Args:
        values: [clips, bands].
        recordings: [clips] names; a recording belongs to one group.
        groups: [clips] names.

    Returns:
        Two arrays [bands]; NaN where no recording has two clips, or no group two recordings.
    """
    within, within_freedom = np.zeros(values.shape[1]), 0
    between, between_freedom, share, count = np.zeros(values.shape[1]), 0, 0.0, 0
    for group in np.unique(groups):
        means = []
        for recording in np.unique(recordings[groups == group]):
            clips = values[(groups == group) & (recordings == recording)]
            within += np.square(clips - clips.mean(axis=0)).sum(axis=0)
            within_freedom += len(clips) - 1
            means.append(clips.mean(axis=0))
            share, count = share + 1.0 / len(clips), count + 1
        between += np.square(np.array(means) - np.mean(means, axis=0)).sum(axis=0)
        between_freedom += len(means) - 1
    nothing = np.full(values.shape[1], np.nan)
    within_variance = within / within_freedom if within_freedom else nothing
    if not between_freedom:
        return within_variance, nothing
    return within_variance, np.maximum(between / between_freedom - within_variance * share / count, 0.0)


def directions_for(values: np.ndarray, share: float = 0.9) -> int:
    """Count the principal directions of values [clips, bands] that hold a share of their variance."""
    spectrum = np.square(np.linalg.svd(values - values.mean(axis=0), compute_uv=False))
    return int(np.searchsorted(np.cumsum(spectrum) / spectrum.sum(), share - 1e-12) + 1)


def fault_effect(values: np.ndarray, faults: np.ndarray, recordings: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the distance of faulty clips' mean from normal clips' mean, in standard deviations of normals, per band.

    Faulty clips are compared with normal clips of their group (one machine in one domain), one fault at a time. The
    deviation is the root of both variance components of the normal clips. Effects are averaged as a root mean square;
    groups without faulty or without normal clips are left out.

    Args:
        values: [clips, bands].
        faults: [clips] names, "" for normal clips.
        recordings, groups: [clips] names.

    Returns:
        [bands]; NaN where no group has both.
    """
    normal = faults == ""
    within, between = variance_components(values[normal], recordings[normal], groups[normal])
    effects = [
        values[faulty].mean(axis=0) - values[(groups == group) & normal].mean(axis=0)
        for group in np.unique(groups[normal])
        for fault in np.unique(faults[~normal])
        if (faulty := (groups == group) & (faults == fault)).any()
    ]
    if not effects:
        return np.full(values.shape[1], np.nan)
    return np.sqrt(np.mean(np.square(effects), axis=0) / np.maximum(within + between, 1e-9))


def whitened_distances(queries: np.ndarray, references: np.ndarray, is_target_domain: np.ndarray) -> np.ndarray:
    """Return the distance of each query [n, D] to its nearest reference [m, D] in a whitened space, [n].

    The covariance is shared by both domains: the scatter S of the references about their own domain's mean, shrunk to
    (1 - rho) S + rho mu I with mu = trace(S) / D, and rho the larger of Ledoit and Wolf's shrinkage of the residuals
    and 1 / (1 + m - domains). Where mu is 0, the distances are plain.

    Args:
        queries, references: features.
        is_target_domain: [m] bool, the domain of each reference.
    """
    residuals = references.astype(np.float64).copy()
    domains = np.unique(is_target_domain)
    for domain in domains:
        residuals[is_target_domain == domain] -= residuals[is_target_domain == domain].mean(axis=0)
    scatter = residuals.T @ residuals / len(residuals)
    mean_variance = float(np.trace(scatter)) / len(scatter)
    if mean_variance == 0.0:
        return cdist(queries, references).min(axis=1)
    shrinkage = max(ledoit_wolf_shrinkage(residuals, assume_centered=True), 1.0 / (1 + len(references) - len(domains)))
    covariance = (1.0 - shrinkage) * scatter + shrinkage * mean_variance * np.eye(len(scatter))
    root = np.linalg.cholesky(np.linalg.inv(covariance))
    return cdist(queries @ root, references @ root).min(axis=1)


def mean_auc(score: np.ndarray, is_anomaly: np.ndarray, is_target_domain: np.ndarray) -> float:
    """Return the AUC in % of scores [tests], averaged over the domains that have normal and anomalous tests."""
    aucs = [
        roc_auc_score(is_anomaly[is_target_domain == domain], score[is_target_domain == domain])
        for domain in (False, True)
        if len(set(is_anomaly[is_target_domain == domain].tolist())) == 2
    ]
    return 100.0 * float(np.mean(aucs)) if aucs else float("nan")


def mixed(waveforms: np.ndarray, noise: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return waveforms with a segment of noise each, both of one level (0 dB); fewer segments are used again."""
    order = [generator.permutation(len(noise)) for _ in range(-(-len(waveforms) // len(noise)))]
    return waveforms + noise[np.concatenate(order)[: len(waveforms)]]


def within_class_spread(values: np.ndarray, classes: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return the pooled standard deviation [bands] of values [clips, bands] about the mean of their class."""
    names = np.asarray(classes)
    squares, freedom = np.zeros(values.shape[1]), 0
    for name in np.unique(names):
        clips = values[names == name]
        squares += np.square(clips - clips.mean(axis=0)).sum(axis=0)
        freedom += len(clips) - 1
    return np.sqrt(squares / freedom) if freedom else np.full(values.shape[1], np.nan)
