"""Mix a machine sound with noise at a drawn SNR (Eq. 3); the level of the mixture, mixup and SpecAugment."""

from collections.abc import Sequence
from typing import Literal

import torch

Level = Literal["unit_noise", "target"]


class SilentClipError(ValueError):
    """A clip without power: it has no signal-to-noise ratio, so it can be neither trained on nor mixed."""


def draw_snr(snr_db: Sequence[float], draws: torch.Tensor) -> torch.Tensor:
    """Draw the SNR of every clip; the policy is the paper's `fixed` for one value and `uniform` for two bounds.

    Args:
        snr_db: one value, or a lower and an upper bound, in dB.
        draws: [batch] uniform draws in [0, 1), one per clip, keyed by the caller. `fixed` does not use them.

    Returns:
        SNR in dB, [batch], of the dtype and on the device of the draws.

    Raises:
        ValueError: not one value or two bounds in order.
    """
    check_snr(snr_db)
    low, high = snr_db[0], snr_db[-1]
    return low + (high - low) * draws


def check_snr(snr_db: Sequence[float]) -> None:
    """Check the option that `draw_snr` takes.

    Raises:
        ValueError: not one value or two bounds in order.
    """
    if not 1 <= len(snr_db) <= 2 or snr_db[0] > snr_db[-1]:
        raise ValueError(f"snr_db takes one value, or a lower and an upper bound in dB, got {snr_db}")


def _power(waveform: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
    """Return the mean of squares over the real samples, [batch]; samples beyond a clip's length must be zero."""
    energy = waveform.float().square().sum(dim=-1)
    return energy / (waveform.shape[-1] if lengths is None else lengths.to(energy))


def mixing_gains(
    machine: torch.Tensor,
    noise: torch.Tensor,
    snr_db: torch.Tensor | float,
    lengths: torch.Tensor | None = None,
    level: Level = "unit_noise",
    noise_lengths: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the amplitude factors a1 of the machine and a2 of the noise (Eq. 3), each [batch], float32.

    The noise gets unit power (a2 = sqrt(1 / P2)), the machine the power R = 10^(snr_db / 10) (a1 = sqrt(R / P1)).
    With `level="target"` both are divided by a1: the same SNR, but the machine keeps its recorded level. A clip
    without power gives an infinite factor: `mix_at_snr` raises for it, and the training data have no such clip.

    Args:
        machine, noise: waveforms [batch, samples].
        snr_db: signal-to-noise ratio in dB, scalar or [batch].
        lengths: real samples of each clip, [batch]; None: all. Power is taken over real samples; both waveforms
            are zero beyond them.
        level: `unit_noise` (Eq. 3 as written) or `target`.
        noise_lengths: real samples of the noises where they differ from `lengths`, [batch].

    Raises:
        ValueError: unknown level.
    """
    ratio = 10.0 ** (torch.as_tensor(snr_db, dtype=torch.float32, device=machine.device) / 10.0)
    a1 = (ratio / _power(machine, lengths)).sqrt()
    a2 = _power(noise, lengths if noise_lengths is None else noise_lengths).rsqrt()
    if level == "unit_noise":
        return a1, a2
    if level == "target":
        return torch.ones_like(a1), a2 / a1
    raise ValueError(f"level must be 'unit_noise' or 'target', got {level!r}")


def mix_at_snr(target: torch.Tensor, noise: torch.Tensor, snr_db: torch.Tensor | float) -> torch.Tensor:
    """Mix at a signal-to-noise ratio, the noise at unit power (Eq. 3): a1 * target + a2 * noise.

    Args:
        target: machine sounds, [batch, samples], floating point.
        noise: noise, of the same shape.
        snr_db: signal-to-noise ratio in dB, scalar or [batch].

    Returns:
        The mixtures, [batch, samples]. Their power is about 1 + R, far above full scale: bringing them to the level
        of a recording is a separate step (`mixing_gains(..., level="target")`).

    Raises:
        SilentClipError: a clip is silent, so that it has no SNR.
        ValueError: the shapes differ, or a clip is not finite.
    """
    if target.shape != noise.shape or target.dim() != 2:
        raise ValueError(
            f"target and noise must both be [batch, samples], got {tuple(target.shape)} and {tuple(noise.shape)}"
        )
    for name, waveform in (("target", target), ("noise", noise)):
        power = _power(waveform, None)
        bad = (~torch.isfinite(power) | (power <= 0)).nonzero().flatten().tolist()
        if bad:
            kind = SilentClipError if bool((power[bad] == 0).all()) else ValueError
            raise kind(
                f"{name} clips {bad} of the batch have power {power[bad].tolist()}: a silent or non-finite clip "
                "has no signal-to-noise ratio. Leave such clips out before mixing."
            )
    a1, a2 = mixing_gains(target, noise, snr_db)
    return a1[:, None] * target + a2[:, None] * noise


def linear_mixup(
    waveform: torch.Tensor, labels: torch.Tensor, partner: torch.Tensor, ratio: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix examples, and their labels alike, with others of the batch (mixup, Zhang et al. 2018).

    x = ratio * x_i + (1 - ratio) * x_j, where the waveforms are noisy mixtures already.

    Args:
        waveform: [batch, samples].
        labels: multi-hot, [batch, classes].
        partner: which example j each example i is mixed with, [batch] int64.
        ratio: weight of the example itself, [batch], in [0, 1]; the paper draws it from a Beta distribution.

    Returns:
        Waveforms and soft labels, of the same shapes.
    """
    weight = ratio[:, None].to(waveform.dtype)
    mixed = weight * waveform + (1 - weight) * waveform[partner]
    return mixed, weight * labels + (1 - weight) * labels[partner]


def snr_mixup(
    waveform: torch.Tensor,
    labels: torch.Tensor,
    partner: torch.Tensor,
    snr_db: torch.Tensor,
    lengths: torch.Tensor,
    level: Level = "unit_noise",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix examples with others of the batch at an SNR (Eq. 3); both keep their labels in full.

    Args:
        waveform: noisy mixtures, [batch, samples], zero beyond their lengths.
        labels: multi-hot, [batch, classes].
        partner: the example that takes the place of the noise, [batch] int64.
        snr_db: of the example against its partner, [batch].
        lengths: real samples of each example, [batch].
        level: as in `mixing_gains`.

    Returns:
        Waveforms and the union of the labels, of the same shapes.
    """
    a1, a2 = mixing_gains(waveform, waveform[partner], snr_db, lengths, level, noise_lengths=lengths[partner])
    mixed = a1[:, None] * waveform + a2[:, None] * waveform[partner]
    return mixed, torch.maximum(labels, labels[partner])


def spec_augment(
    features: torch.Tensor,
    time_draws: torch.Tensor,
    frequency_draws: torch.Tensor,
    time_width: int,
    frequency_width: int,
    value: float = 0.0,
) -> torch.Tensor:
    """Mask spans of time and bands of frequency (SpecAugment, Park et al. 2019), all clips in one comparison.

    A mask's width is uniform in [0, width] and its start uniform among the positions where it fits, as in
    `torchaudio.functional.mask_along_axis`; the draws come from outside, so that they can be keyed by clip.

    Args:
        features: normalized log-mel features, [batch, frames, bands].
        time_draws: [batch, number of time masks, 2], uniform in [0, 1): (width, start).
        frequency_draws: [batch, number of frequency masks, 2], alike.
        time_width: largest width of a time mask, in frames (10 ms).
        frequency_width: largest width of a frequency mask, in mel bands.
        value: what masked cells become; 0 is about the mean of normalized features.

    Returns:
        The masked features, of the same shape.
    """
    masked = _span_mask(time_draws, time_width, features.shape[1])[:, :, None]
    masked = masked | _span_mask(frequency_draws, frequency_width, features.shape[2])[:, None, :]
    return features.masked_fill(masked, value)


def _span_mask(draws: torch.Tensor, max_width: int, size: int) -> torch.Tensor:
    """Return [batch, size] bool: inside any of the spans given by `draws` [batch, masks, 2]."""
    width = draws[..., 0] * min(max_width, size)
    start = (draws[..., 1] * (size - width)).floor()
    position = torch.arange(size, device=draws.device)
    inside = (position >= start[..., None]) & (position < (start + width.floor())[..., None])
    return inside.any(dim=1)
