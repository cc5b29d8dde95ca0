"""What a batch of pre-training holds, and that its draws are keyed by position."""

from itertools import islice

import numpy as np
import pytest
import torch
from tiny_pretraining import make_arguments, make_pretraining
from torch.utils.data import default_convert

from modeling_retainmix.data.clips import read_clips, to_waveform
from modeling_retainmix.encoders import BeatsFeatureExtractor
from modeling_retainmix.encoders.feature_extraction_encoder import set_clip_level
from modeling_retainmix.training.pretraining_targets import clip_statistics, cut_patches


@pytest.fixture
def build(tmp_path):
    """A builder with some options, and its first eight examples: keys and batch."""

    def make(**options):
        trainer = make_pretraining(tmp_path, **options)
        keys = list(islice(trainer._get_train_sampler(), 8))
        return trainer.build_batch, trainer.train_dataset, keys

    return make


def examples(pairs, keys):
    return default_convert(pairs.__getitems__(keys))


def sources(pairs, keys):
    """Waveforms of the machines and noises of some examples, [n, samples] each."""
    machines, _ = read_clips(pairs.machines, [key[1] for key in keys], pairs.num_samples)
    noises, _ = read_clips(pairs.noise, [key[2] for key in keys], pairs.num_samples)
    scales = np.ones(len(keys), np.float32)
    return to_waveform(machines, scales), to_waveform(noises, scales)


def test_when_batch_is_cut_then_the_parts_are_those_of_the_whole(build):
    builder, pairs, keys = build(clip_level=[-0.5, 0.5], num_codebooks=2)
    whole = vars(builder(examples(pairs, keys)))
    parts = [vars(builder(examples(pairs, part))) for part in (keys[:3], keys[3:])]
    for name, values in whole.items():
        joined = torch.cat([part[name] for part in parts])
        assert torch.allclose(joined.float(), values.float(), atol=1e-5), name


@pytest.mark.parametrize(("shares", "source"), [([1.0, 0.0, 0.0], 0), ([0.0, 1.0, 0.0], 1)])
def test_when_one_source_has_all_shares_then_clips_are_it_alone(build, shares, source):
    builder, pairs, keys = build(source_shares=shares, gain_db=0.0, clip_level=None)
    expected = BeatsFeatureExtractor().extract_features(sources(pairs, keys)[source])
    assert torch.allclose(builder.features(examples(pairs, keys)), expected, atol=1e-5)


def test_when_mixtures_have_all_shares_then_clips_are_mixed_at_the_snr(build):
    builder, pairs, keys = build(source_shares=[0.0, 0.0, 1.0], snr_db=[3.0], gain_db=0.0, clip_level=None)
    machine, noise = sources(pairs, keys)
    power = machine.square().mean(dim=1) / noise.square().mean(dim=1)
    mixture = machine + (power / 10**0.3).sqrt()[:, None] * noise
    expected = BeatsFeatureExtractor().extract_features(mixture)
    assert torch.allclose(builder.features(examples(pairs, keys)), expected, atol=1e-4)


def test_when_shares_are_given_then_examples_are_of_all_kinds(build):
    builder, pairs, _ = build(source_shares=[1.0, 1.0, 2.0], gain_db=0.0, clip_level=None)
    keys = list(islice(make_pretraining(builder.args.output_dir)._get_train_sampler(), 24))
    features = builder.features(examples(pairs, keys))
    alone = [BeatsFeatureExtractor().extract_features(waveform) for waveform in sources(pairs, keys)]
    same = [torch.isclose(features, other, atol=1e-4).all(dim=2).all(dim=1) for other in alone]
    assert same[0].any() and same[1].any() and (~(same[0] | same[1])).any()


def test_when_gain_is_given_then_levels_differ_within_it(build):
    options = {"source_shares": [1.0, 0.0, 0.0], "clip_level": None}
    levels = []
    for gain in (0.0, 10.0):
        builder, pairs, keys = build(gain_db=gain, **options)
        levels.append(builder.features(examples(pairs, keys)).mean(dim=(1, 2)))
    decibels = (levels[1] - levels[0]) * 2 * 6.55582 * 10 / np.log(10)  # of power, from normalized natural logarithms
    assert decibels.abs().max() < 10.01 and decibels.max() - decibels.min() > 3


@pytest.mark.parametrize(("levels", "low", "high"), [([-0.15], -0.15, -0.15), ([-0.5, 0.5], -0.5, 0.5)])
def test_when_clip_level_is_given_then_clips_have_it(build, levels, low, high):
    builder, pairs, keys = build(clip_level=levels)
    means = builder(examples(pairs, keys)).features.mean(dim=(1, 2))
    assert (means > low - 1e-4).all() and (means < high + 1e-4).all()
    assert len(levels) == 1 or means.max() - means.min() > 0.2


def test_targets_are_those_of_the_unmasked_clip(build):
    builder, pairs, keys = build()
    batch = builder(examples(pairs, keys))
    tokens = batch.visible.shape[1] + batch.masked.shape[1]
    assert batch.visible.shape == (8, tokens // 4)
    codes = builder.tokenizer(cut_patches(batch.features, 16))
    for clip in range(8):
        assert torch.equal(batch.codes[clip], codes[clip, batch.masked[clip]])
    assert torch.equal(batch.statistics, clip_statistics(batch.features, 16))
    assert len({tuple(row) for row in batch.visible.tolist()}) == 8  # no two clips have the same mask


def test_when_calibrated_then_targets_of_the_first_clips_are_standardized(build):
    builder, pairs, _ = build()
    keys = list(islice(make_pretraining(builder.args.output_dir)._get_train_sampler(), 16))
    features = builder.features(examples(pairs, keys))
    values = builder.tokenizer.standardize(cut_patches(features, 16)).view(-1, 8, 256)
    assert torch.allclose(values.mean(dim=0), torch.zeros(8, 256), atol=1e-4)
    again = set_clip_level(features, -0.15)
    assert torch.allclose(again, features, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_ratio": 1.0}, "mask_ratio must be between 0 and 1, got 1.0"),
        ({"source_shares": [1.0, 1.0]}, r"three shares \(machine, noise, mixture\), got \[1.0, 1.0\]"),
        ({"snr_db": [5.0, -5.0]}, r"snr_db takes one value, or a lower and an upper bound, got \[5.0, -5.0\]"),
        ({"clip_level": []}, r"clip_level takes one value"),
        ({"ema_decay": 1.0}, r"ema_decay must be in \[0, 1\), got 1.0"),
        ({"num_codes": 0}, "num_codes must be positive, got 0"),
        ({"encoder_config": "{"}, "--encoder_config must be a JSON object, got '{'"),
        ({"statistics_pool": "row"}, "statistics_pool must be 'clip' or 'band', got 'row'"),
        ({"push_to_hub": True}, "push_to_hub is not of a pre-training: call `retainmix push OUTPUT_DIR/best NAME`"),
        ({"gradient_checkpointing": True}, "gradient_checkpointing is not of a pre-training"),
    ],
)
def test_when_option_is_out_of_range_then_error_names_it(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        make_arguments(tmp_path, **options)
