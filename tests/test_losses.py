"""Eq. 1, 4, 5, 6 and 7, and what stands beside them, against numbers worked out by hand."""

import math

import pytest
import torch

from modeling_retainmix.losses import (
    amplitude_share,
    mixture_loss,
    retainmix_loss,
    separation_loss,
    tagging_loss,
    teacher_target,
)
from modeling_retainmix.mixing import mix_at_snr


def test_when_two_classes_are_labelled_then_tagging_loss_is_mean_cross_entropy():
    # sigmoid(0) = 1/2 and sigmoid(ln 3) = 3/4: -[ln 1/2 + ln 3/4] / 2
    logits = torch.tensor([[0.0, math.log(3.0)]])
    loss = tagging_loss(logits, torch.tensor([[1.0, 1.0]]))
    assert loss.item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2, abs=1e-7)


def test_when_class_is_absent_then_tagging_loss_counts_its_complement():
    # a machine at 3/4 that is there, a noise at 3/4 that is not: -[ln 3/4 + ln 1/4] / 2
    logits = torch.full((1, 2), math.log(3.0))
    loss = tagging_loss(logits, torch.tensor([[1.0, 0.0]]))
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2, abs=1e-7)


def test_when_shapes_differ_then_tagging_loss_raises():
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 4\)"):
        tagging_loss(torch.zeros(2, 3), torch.zeros(2, 4))


@pytest.mark.parametrize(("lam", "expected"), [(0.5, [2.0, 1.0]), (0.25, [3.0, 0.5]), (1.0, [0.0, 2.0])])
def test_when_sources_are_averaged_then_lambda_weights_the_machine(lam, expected):
    target, noise = torch.tensor([[[0.0, 2.0]]]), torch.tensor([[[4.0, 0.0]]])
    assert teacher_target(target, noise, lam).flatten().tolist() == expected


def test_when_lambda_is_outside_the_unit_interval_then_it_is_named():
    with pytest.raises(ValueError, match=r"1\.5"):
        teacher_target(torch.zeros(1, 1, 1), torch.zeros(1, 1, 1), 1.5)


def test_when_tokens_differ_then_mixture_loss_is_mean_square_over_tokens_and_channels():
    student = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    teacher = torch.tensor([[[1.0, 0.0], [0.0, 4.0]]])
    # differences 0, 2, 3, 0: (4 + 9) / 4
    assert mixture_loss(student, teacher).item() == pytest.approx(3.25)


def test_when_mixture_loss_is_differentiated_then_only_the_student_gets_a_gradient():
    student = torch.tensor([[[1.0, 2.0]]], requires_grad=True)
    teacher = torch.tensor([[[0.0, 0.0]]], requires_grad=True)
    mixture_loss(student, teacher).backward()
    assert student.grad.flatten().tolist() == [1.0, 2.0]  # 2 (s - t) / 2
    assert teacher.grad is None


def test_when_token_grids_differ_then_mixture_loss_raises():
    with pytest.raises(ValueError, match="patch grid"):
        mixture_loss(torch.zeros(1, 8, 4), torch.zeros(1, 16, 4))


def test_when_losses_are_summed_then_alpha_and_beta_weight_them():
    total = retainmix_loss(torch.tensor(2.0), torch.tensor(5.0), alpha=0.5, beta=3.0)
    assert total.item() == 16.0


def test_when_loss_is_asked_per_clip_then_each_has_its_own_and_their_mean_is_the_loss():
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])
    labels = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    # the first as above; the second is ln 2 in both classes
    expected = [(math.log(2) + math.log(4 / 3)) / 2, math.log(2)]
    assert tagging_loss(logits, labels, per_clip=True).tolist() == pytest.approx(expected, abs=1e-7)
    assert tagging_loss(logits, labels).item() == pytest.approx(sum(expected) / 2, abs=1e-7)
    student, teacher = torch.tensor([[[1.0, 2.0]], [[0.0, 3.0]]]), torch.zeros(2, 1, 2)
    assert mixture_loss(student, teacher, per_clip=True).tolist() == [2.5, 4.5]
    assert mixture_loss(student, teacher).item() == 3.5


def test_when_noise_is_not_labelled_then_tagging_loss_is_that_of_the_denoising_baseline():
    # Eq. 1: two machine classes at 3/4 and 1/4, the first is heard: -[ln 3/4 + ln 3/4] / 2
    logits = torch.tensor([[math.log(3.0), -math.log(3.0)]])
    assert tagging_loss(logits, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(math.log(4 / 3), abs=1e-7)


def test_when_lambda_is_given_for_each_clip_then_each_has_its_own_average():
    machine, noise = torch.tensor([[[0.0]], [[0.0]], [[0.0]]]), torch.tensor([[[4.0]], [[4.0]], [[4.0]]])
    lam = torch.tensor([0.5, 0.25, 1.0])
    assert teacher_target(machine, noise, lam).flatten().tolist() == [2.0, 3.0, 0.0]


@pytest.mark.parametrize(
    ("snr_db", "lam", "expected"),
    [
        (0.0, 0.5, 1 / 2),
        (20.0, 0.5, 10 / 11),  # amplitudes 10 : 1
        (-20.0, 0.5, 1 / 11),
        (0.0, 0.3, 0.3),
        (20.0, 0.3, 3 / 3.7),
        (7.0, 0.0, 0.0),
        (7.0, 1.0, 1.0),
    ],
)
def test_when_lambda_follows_the_snr_then_it_is_the_share_of_the_amplitude(snr_db, lam, expected):
    assert amplitude_share(torch.tensor([snr_db]), lam).item() == pytest.approx(expected, abs=1e-6)


def test_when_sources_have_unit_power_then_the_share_mixes_them_as_eq_3_does():
    generator = torch.Generator().manual_seed(0)
    sources = torch.randn(2, 4, 1000, generator=generator)
    machine, noise = sources / sources.square().mean(dim=2, keepdim=True).sqrt()
    snr_db = torch.tensor([-10.0, -3.0, 0.0, 12.0])
    share = amplitude_share(snr_db)[:, None]
    combined, mixture = share * machine + (1 - share) * noise, mix_at_snr(machine, noise, snr_db)
    assert torch.allclose(torch.cosine_similarity(combined, mixture), torch.ones(4), atol=1e-6)


def test_when_predictions_are_apart_then_each_is_compared_with_its_source():
    zero = torch.zeros(2, 1, 2)
    machine, noise = torch.tensor([[[1.0, 3.0]], [[0.0, 0.0]]]), torch.tensor([[[0.0, 2.0]], [[4.0, 0.0]]])
    # errors of the machine 5 and 0, of the noise 2 and 8
    lam = torch.tensor([0.25, 0.5])
    per_clip = separation_loss(zero, zero, machine, noise, lam, per_clip=True)
    assert per_clip.tolist() == [0.25 * 5 + 0.75 * 2, 0.5 * 8]
    assert separation_loss(zero, zero, machine, noise, lam).item() == pytest.approx(per_clip.mean().item())
    assert separation_loss(zero, zero, machine, noise, 1.0).item() == 2.5


@pytest.mark.parametrize("lam", [0.5, 0.2, torch.tensor([0.1, 0.5, 0.9])])
def test_when_both_predictions_are_the_tokens_then_the_gradient_is_that_of_eq_6(lam):
    generator = torch.Generator().manual_seed(0)
    student, machine, noise = torch.randn(3, 3, 4, 5, generator=generator).unbind()
    ours, average = (student.clone().requires_grad_() for _ in range(2))
    apart = separation_loss(ours, ours, machine, noise, lam)
    together = mixture_loss(average, teacher_target(machine, noise, lam))
    (gradient,), (expected,) = torch.autograd.grad(apart, ours), torch.autograd.grad(together, average)
    assert torch.allclose(gradient, expected, atol=1e-7)
    weight = torch.as_tensor(lam).expand(3)[:, None, None]
    between = (weight * (1 - weight) * (machine - noise).square()).mean()
    assert torch.allclose(apart, together + between, atol=1e-6)
