"""From clips to features: what student and teacher hear, and that it depends on the position alone."""

import pytest
import torch
from torch.utils.data import default_convert

from modeling_retainmix.data.training_pairs import PairKey
from modeling_retainmix.training.mixture_batch import MixtureBatchBuilder


class WaveformAsFeatures:
    """Stands for a feature extractor: frames of 128 samples, so that the tests can read the waveform back."""

    def __init__(self, clip_level=None):
        self.clip_level = clip_level

    def log_mel(self, waveform):
        return waveform.reshape(len(waveform), -1, 128)

    def frame_mask(self, lengths, num_samples):
        return torch.ones(len(lengths), num_samples // 128)


def batch_of(pairs, keys):
    return default_convert(pairs.__getitems__(keys))


KEYS = [PairKey(position, position % 24, position % 8) for position in range(6)]


def build(make_args, pairs, keys=KEYS, layerdrop=0.0, clip_level=None, **options):
    options = {"time_mask_width": 0, "frequency_mask_width": 0} | options
    num_machines = len(pairs.machine_class_names)
    num_classes = len(pairs.class_names) if options.get("tag_noise", True) else num_machines
    builder = MixtureBatchBuilder(
        WaveformAsFeatures(clip_level), make_args(**options), num_classes, num_machines, 4, layerdrop
    )
    return builder(batch_of(pairs, keys))


def test_when_batch_is_built_then_teacher_hears_the_two_parts_of_the_mixture(make_args, pairs):
    batch = build(make_args, pairs)
    machine, noise = batch.teacher_features.chunk(2)
    assert torch.allclose(batch.student_features, machine + noise, atol=1e-6)
    ratio = machine.flatten(1).square().mean(1) / noise.flatten(1).square().mean(1)
    assert torch.allclose(10 * ratio.log10(), torch.zeros(6), atol=1e-3)


def test_when_extractor_has_a_clip_level_then_the_mixture_is_there_and_its_sources_move_with_it(make_args, pairs):
    plain, moved = build(make_args, pairs), build(make_args, pairs, clip_level=0.25)
    assert torch.allclose(moved.student_features.mean(dim=(1, 2)), torch.full((6,), 0.25), atol=1e-6)
    offset = (moved.student_features - plain.student_features)[:, :1, :1]
    assert torch.allclose(moved.student_features, plain.student_features + offset, atol=1e-6)
    expected = plain.teacher_features + torch.cat([offset, offset])
    assert torch.allclose(moved.teacher_features, expected, atol=1e-6)


def test_when_level_is_unit_noise_then_noise_has_unit_power(make_args, pairs):
    _, noise = build(make_args, pairs, level="unit_noise").teacher_features.chunk(2)
    assert torch.allclose(noise.flatten(1).square().mean(1), torch.ones(6), atol=1e-4)


def test_when_level_is_target_then_machine_keeps_its_recorded_level(make_args, pairs):
    machine, _ = build(make_args, pairs, level="target").teacher_features.chunk(2)
    recorded = batch_of(pairs, KEYS)["machine"] / 32768
    assert torch.allclose(machine.flatten(1), recorded)


def test_when_teacher_inputs_are_recorded_then_neither_source_is_scaled(make_args, pairs):
    machine, noise = build(make_args, pairs, level="unit_noise", teacher_inputs="recorded").teacher_features.chunk(2)
    clips = batch_of(pairs, KEYS)
    assert torch.allclose(machine.flatten(1), clips["machine"] / 32768)
    assert torch.allclose(noise.flatten(1), clips["noise"] / 32768)


def test_when_snr_is_an_interval_then_each_clip_has_its_own_within_it(make_args, pairs):
    snr_db = build(make_args, pairs, snr_db=[-5.0, 5.0]).snr_db
    assert len(set(snr_db.tolist())) == 6
    assert snr_db.abs().max() <= 5


def test_when_labels_are_made_then_machine_and_noise_are_both_set(make_args, pairs):
    batch = build(make_args, pairs)
    clips = batch_of(pairs, KEYS)
    for row, label in enumerate(batch.labels):
        assert label.nonzero().flatten().tolist() == [clips["machine_class"][row], clips["noise_class"][row]]


def test_when_batch_is_split_then_every_draw_stays_the_same(make_args, pairs):
    options = {"snr_db": [-5.0, 5.0], "time_mask_width": 20, "frequency_mask_width": 30, "layerdrop": 0.5}
    whole = build(make_args, pairs, **options)
    parts = [build(make_args, pairs, keys=KEYS[start : start + 2], **options) for start in (0, 2, 4)]
    for name in ("student_features", "labels", "snr_db", "layer_keep"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(part, name) for part in parts]))


def test_when_masks_are_on_then_only_the_student_is_masked(make_args, pairs):
    plain = build(make_args, pairs)
    masked = build(make_args, pairs, time_mask_width=20, frequency_mask_width=30)
    assert torch.equal(plain.teacher_features, masked.teacher_features)
    zero = masked.student_features == 0
    assert zero.any(dim=(1, 2)).sum() >= 5
    assert torch.equal(masked.student_features[~zero], plain.student_features[~zero])


def test_when_beta_is_zero_then_nothing_is_computed_for_a_teacher(make_args, pairs):
    assert build(make_args, pairs, beta=0.0).teacher_features is None


@pytest.mark.parametrize("layerdrop", [0.0, 0.5])
def test_when_layers_are_dropped_then_share_is_as_asked(make_args, pairs, layerdrop):
    keys = [PairKey(position, 0, 0) for position in range(500)]
    keep = build(make_args, pairs, keys=keys, layerdrop=layerdrop).layer_keep
    if layerdrop == 0.0:
        assert keep is None
    else:
        assert keep.shape == (500, 4)
        assert (~keep).float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_when_noise_is_not_labelled_then_the_machine_alone_is_set(make_args, pairs):
    batch = build(make_args, pairs, tag_noise=False, beta=0.0)
    clips = batch_of(pairs, KEYS)
    assert batch.labels.shape == (6, 3)
    assert batch.labels.argmax(1).tolist() == clips["machine_class"].tolist()
    assert batch.labels.sum() == 6


@pytest.mark.parametrize("mixup", ["linear", "snr"])
def test_when_mixtures_are_mixed_then_neighbours_in_the_sequence_are_partners(make_args, pairs, mixup):
    plain = build(make_args, pairs, beta=0.0, snr_db=[-5.0, 5.0])
    mixed = build(make_args, pairs, beta=0.0, snr_db=[-5.0, 5.0], mixup=mixup)
    for index, partner in enumerate([1, 0, 3, 2, 5, 4]):
        own, other = plain.student_features[index].flatten(), plain.student_features[partner].flatten()
        weights = torch.linalg.lstsq(torch.stack([own, other], dim=1), mixed.student_features[index].flatten())
        first, second = weights.solution.tolist()
        assert torch.allclose(mixed.student_features[index].flatten(), first * own + second * other, atol=1e-4)
        if mixup == "linear":
            assert first + second == pytest.approx(1.0, abs=1e-4)
            expected = first * plain.labels[index] + second * plain.labels[partner]
        else:
            ratio = (first * own).square().mean() / (second * other).square().mean()
            assert abs(10 * ratio.log10()) <= 5.001
            expected = torch.maximum(plain.labels[index], plain.labels[partner])
        assert torch.allclose(mixed.labels[index], expected, atol=1e-4)


def test_when_ratios_are_drawn_many_times_then_their_moments_are_those_of_the_beta_distribution(make_args, pairs):
    keys = [PairKey(position, 0 if position % 2 else 1, 0) for position in range(2000)]
    labels = build(make_args, pairs, keys=keys, beta=0.0, tag_noise=False, mixup="linear", mixup_alpha=0.5).labels
    ratio = labels[torch.arange(2000), torch.tensor([0 if position % 2 else 1 for position in range(2000)])]
    assert ratio.mean().item() == pytest.approx(0.5, abs=0.03)
    assert ratio.var().item() == pytest.approx(1 / 8, abs=0.01)  # 1 / (4 (2 a + 1)) for a = 1/2


@pytest.mark.parametrize("mixup", ["linear", "snr"])
def test_when_mixed_batch_is_split_then_every_draw_stays_the_same(make_args, pairs, mixup):
    options = {"beta": 0.0, "snr_db": [-5.0, 5.0], "mixup": mixup}
    whole = build(make_args, pairs, **options)
    parts = [build(make_args, pairs, keys=KEYS[start : start + 2], **options) for start in (0, 2, 4)]
    for name in ("student_features", "labels"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(part, name) for part in parts]))
