"""Eq. 1, 4, 5, 6 and 7 against numbers worked out by hand."""

import math

import pytest
import torch

from modeling_retainmix.losses import mixture_loss, retainmix_loss, tagging_loss, teacher_target


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
