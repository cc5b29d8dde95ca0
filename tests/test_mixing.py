"""Eq. 3 by hand and against a naive twin, the level step, and SpecAugment against torchaudio."""

import math

import pytest
import torch
import torchaudio

from modeling_retainmix.mixing import (
    SilentClipError,
    draw_snr,
    linear_mixup,
    mix_at_snr,
    mixing_gains,
    snr_mixup,
    spec_augment,
)


def naive_mix(target, noise, snr_db):
    """Eq. 3, one clip and one sample at a time."""
    mixtures = []
    for x1, x2 in zip(target.tolist(), noise.tolist(), strict=True):
        p1 = sum(v * v for v in x1) / len(x1)
        p2 = sum(v * v for v in x2) / len(x2)
        a1, a2 = math.sqrt(10 ** (snr_db / 10) / p1), math.sqrt(1 / p2)
        mixtures.append([a1 * u + a2 * v for u, v in zip(x1, x2, strict=True)])
    return torch.tensor(mixtures)


def test_when_snr_is_20_db_then_target_has_ten_times_the_amplitude_of_unit_noise():
    # P1 = 4 and P2 = 1/4: a1 = sqrt(100 / 4) = 5 and a2 = sqrt(4) = 2
    target, noise = torch.tensor([[2.0, -2.0]]), torch.tensor([[0.5, 0.5]])
    assert mix_at_snr(target, noise, 20.0).tolist() == [[11.0, -9.0]]


def test_when_batch_is_mixed_then_it_equals_the_naive_twin_forward_and_backward():
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(3, 50, generator=generator, dtype=torch.float64)
    noise = torch.randn(3, 50, generator=generator, dtype=torch.float64)
    weights = torch.randn(3, 50, generator=generator, dtype=torch.float64)
    assert torch.allclose(mix_at_snr(target, noise, -5.0), naive_mix(target, noise, -5.0).double(), atol=1e-5)
    leaf = target.float().requires_grad_()
    (mix_at_snr(leaf, noise.float(), -5.0) * weights.float()).sum().backward()
    step = 1e-3
    for clip, sample in [(0, 0), (1, 17), (2, 49)]:
        above, below = target.clone(), target.clone()
        above[clip, sample] += step
        below[clip, sample] -= step
        slope = ((naive_mix(above, noise, -5.0) - naive_mix(below, noise, -5.0)) * weights).sum() / (2 * step)
        assert leaf.grad[clip, sample].item() == pytest.approx(slope.item(), abs=2e-2)


def test_when_every_clip_has_its_own_snr_then_powers_have_that_ratio():
    target, noise = torch.randn(3, 400), torch.randn(3, 400)
    snr_db = torch.tensor([-10.0, 0.0, 7.5])
    a1, a2 = mixing_gains(target, noise, snr_db)
    ratio = (a1**2 * target.square().mean(1)) / (a2**2 * noise.square().mean(1))
    assert torch.allclose(10 * ratio.log10(), snr_db, atol=1e-4)


def test_when_level_is_target_then_snr_is_kept_and_target_is_not_scaled():
    target, noise = torch.randn(2, 400), torch.randn(2, 400)
    a1, a2 = mixing_gains(target, noise, 3.0)
    b1, b2 = mixing_gains(target, noise, 3.0, level="target")
    assert b1.tolist() == [1.0, 1.0]
    assert torch.allclose(b2, a2 / a1)


def test_when_clip_is_padded_then_power_is_taken_over_its_real_samples():
    target, noise = torch.zeros(1, 8), torch.zeros(1, 8)
    target[0, :4], noise[0, :4] = 2.0, 3.0
    a1, a2 = mixing_gains(target, noise, 0.0, lengths=torch.tensor([4]))
    assert (a1.item(), a2.item()) == pytest.approx((1 / 2, 1 / 3))


def test_when_target_is_silent_then_error_names_the_clip():
    target = torch.ones(3, 10)
    target[1] = 0
    with pytest.raises(ValueError, match=r"target clips \[1\]"):
        mix_at_snr(target, torch.ones(3, 10), 0.0)


def test_when_noise_is_not_finite_then_error_names_the_clip():
    noise = torch.ones(2, 10)
    noise[0, 3] = float("nan")
    with pytest.raises(ValueError, match=r"noise clips \[0\]"):
        mix_at_snr(torch.ones(2, 10), noise, 0.0)


def test_when_level_is_unknown_then_error_names_it():
    with pytest.raises(ValueError, match="loud"):
        mixing_gains(torch.ones(1, 4), torch.ones(1, 4), 0.0, level="loud")


@pytest.mark.parametrize("draws", [(0.0, 0.0), (0.37, 0.81), (0.999, 0.999)])
def test_when_draws_are_given_then_masks_equal_those_of_torchaudio(draws, monkeypatch):
    features = torch.randn(1, 60, 32)
    values = iter(torch.tensor(draws))
    monkeypatch.setattr(torch, "rand", lambda *args, **kwargs: next(values).reshape(1))
    expected = torchaudio.functional.mask_along_axis(features, mask_param=20, mask_value=0.0, axis=1)
    time_draws = torch.tensor(draws).reshape(1, 1, 2)
    ours = spec_augment(features, time_draws, torch.zeros(1, 1, 2), time_width=20, frequency_width=0)
    assert torch.equal(ours, expected)


def test_when_clips_have_their_own_draws_then_each_is_masked_alone():
    features = torch.ones(2, 10, 8)
    time_draws = torch.tensor([[[0.5, 0.0]], [[0.0, 0.0]]])
    frequency_draws = torch.tensor([[[0.0, 0.0]], [[0.99, 0.99]]])
    masked = spec_augment(features, time_draws, frequency_draws, time_width=4, frequency_width=3)
    assert (masked[0] == 0).all(dim=1).tolist() == [True] * 2 + [False] * 8
    assert (masked[1] == 0).all(dim=0).tolist() == [False] * 4 + [True] * 2 + [False] * 2  # width 2.97, start 4.98


PARTNER = torch.tensor([1, 0])
LABELS = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])


def test_when_mixed_up_linearly_then_samples_and_labels_have_the_same_weights():
    waveform = torch.tensor([[4.0, 0.0], [0.0, 8.0]])
    mixed, labels = linear_mixup(waveform, LABELS, PARTNER, torch.tensor([0.75, 0.5]))
    # 3/4 of (4, 0) and 1/4 of (0, 8); half of each
    assert mixed.tolist() == [[3.0, 2.0], [2.0, 4.0]]
    assert labels.tolist() == [[0.75, 0.25, 1.0], [0.5, 0.5, 1.0]]


def test_when_mixed_up_at_an_snr_then_powers_have_that_ratio_and_labels_are_united():
    # powers 4 and 1/4: a1 = sqrt(100 / 4) = 5, a2 = sqrt(4) = 2 at 20 dB; a1 = sqrt(4) = 2, a2 = 1/2 at 0 dB
    waveform = torch.tensor([[2.0, -2.0], [0.5, 0.5]])
    mixed, labels = snr_mixup(waveform, LABELS, PARTNER, torch.tensor([20.0, 0.0]), torch.tensor([2, 2]))
    assert mixed.tolist() == [[11.0, -9.0], [2.0, 0.0]]
    assert labels.tolist() == [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]


def test_when_partner_is_shorter_then_its_power_is_taken_over_its_own_samples():
    # real samples 4 and 1: powers 1 and 16, so a1 = 1 and a2 = 1/4
    waveform = torch.tensor([[1.0, 1.0, 1.0, 1.0], [4.0, 0.0, 0.0, 0.0]])
    mixed, _ = snr_mixup(waveform, LABELS, PARTNER, torch.zeros(2), torch.tensor([4, 1]))
    assert mixed[0].tolist() == [2.0, 1.0, 1.0, 1.0]


def test_when_snr_is_one_value_then_every_draw_gives_it():
    assert draw_snr([-5.0], torch.tensor([0.0, 0.37, 0.999])).tolist() == [-5.0] * 3


def test_when_snr_has_two_bounds_then_draws_are_spread_uniformly_between_them():
    assert draw_snr([-10.0, 10.0], torch.tensor([0.0, 0.25, 0.5])).tolist() == [-10.0, -5.0, 0.0]


@pytest.mark.parametrize("snr_db", [[], [5.0, -5.0], [0.0, 1.0, 2.0]])
def test_when_bounds_are_not_one_value_or_two_in_order_then_they_are_named(snr_db):
    with pytest.raises(ValueError, match="snr_db takes one value, or a lower and an upper bound"):
        draw_snr(snr_db, torch.zeros(1))


def test_when_clip_is_silent_then_the_error_is_of_its_own_class():
    with pytest.raises(SilentClipError, match=r"noise clips \[0\]"):
        mix_at_snr(torch.ones(1, 4), torch.zeros(1, 4), 0.0)
    with pytest.raises(ValueError, match=r"noise clips \[0\]") as raised:
        mix_at_snr(torch.ones(1, 4), torch.full((1, 4), torch.inf), 0.0)
    assert not isinstance(raised.value, SilentClipError)
