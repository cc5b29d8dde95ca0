"""Targets of the pre-training against plain loops."""

import numpy as np
import pytest
import torch
from tiny_pretraining import ENCODER

from modeling_retainmix.encoders import BeatsConfig, BeatsModel
from modeling_retainmix.encoders.feature_extraction_encoder import set_clip_level
from modeling_retainmix.training.pretraining_targets import (
    LogMelPatches,
    RandomProjectionTokenizer,
    Standardizer,
    TeacherTokens,
    clip_statistics,
    cut_patches,
)

ROWS, SIZE = 8, 16


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(0)
    color = torch.linspace(-1, 1, 128)  # as the mean spectrum of recordings has
    return color + 0.3 * torch.randn(3, 53, 128, generator=generator)


def naive_codes(values, mean, std, projection, codebook):
    """Codes [batch, tokens, codebooks] by loops, and by how much the nearest cosine leads at least."""
    batch, tokens, _ = values.shape
    codes, lead = np.zeros((batch, tokens, len(projection)), dtype=np.int64), np.inf
    for clip in range(batch):
        for token in range(tokens):
            value = (values[clip, token] - mean[token % len(mean)]) / std[token % len(mean)]
            for book in range(len(projection)):
                projected = value @ projection[book]
                norms = np.linalg.norm(projected) * np.linalg.norm(codebook[book], axis=1)
                cosines = codebook[book] @ projected / norms
                codes[clip, token, book] = np.argmax(cosines)
                lead = min(lead, np.diff(np.sort(cosines)[-2:])[0])
    return codes, lead


def test_when_level_is_set_then_the_mean_of_each_clip_is_it_and_its_shape_stays(features):
    leveled = set_clip_level(features, torch.tensor([-0.2, 0.0, 0.5]))
    assert torch.allclose(leveled.mean(dim=(1, 2)), torch.tensor([-0.2, 0.0, 0.5]), atol=1e-6)
    offsets = leveled - features
    assert torch.allclose(offsets, offsets[:, :1, :1].expand_as(offsets), atol=1e-6)
    assert torch.allclose(set_clip_level(leveled, -0.15), set_clip_level(features, -0.15), atol=1e-6)
    assert set_clip_level(features, None) is features


def test_when_frames_are_padding_then_the_level_is_that_of_the_others(features):
    padded = torch.cat([features, torch.full((3, 20, 128), -2.4)], dim=1)
    mask = torch.arange(73) < 53
    leveled = set_clip_level(padded, -0.15, mask.expand(3, -1))
    assert torch.allclose(leveled[:, :53], set_clip_level(features, -0.15), atol=1e-6)


def test_patches_are_those_of_the_encoder_in_its_order(features):
    patches = cut_patches(features, SIZE)
    assert patches.shape == (3, 24, 256)
    for token in range(24):
        time, row = divmod(token, ROWS)
        square = features[:, SIZE * time : SIZE * (time + 1), SIZE * row : SIZE * (row + 1)]
        assert torch.equal(patches[:, token], square.flatten(1))
    embeddings = BeatsModel(BeatsConfig(**ENCODER)).patch_embeddings
    projected = patches @ embeddings.projection.weight.flatten(1).T
    with torch.no_grad():
        expected = embeddings(features)
        assert torch.allclose(embeddings.linear(embeddings.layer_norm(projected)), expected, atol=1e-5)


def test_statistics_are_those_of_numpy(features):
    values = features.double().numpy()
    expected = np.stack([values.mean(1), values.std(1), np.diff(values, axis=1).std(1)], axis=1)  # [clips, 3, bins]
    ours = clip_statistics(features, SIZE)
    assert ours.shape == (3, ROWS, 3 * SIZE)
    for row in range(ROWS):
        block = expected[:, :, SIZE * row : SIZE * (row + 1)].reshape(3, -1)
        np.testing.assert_allclose(ours[:, row].numpy(), block, atol=1e-5)


def test_when_standardizer_is_fitted_then_each_row_has_mean_0_and_deviation_1(features):
    values = cut_patches(features, SIZE)
    standardizer = Standardizer(ROWS, 256)
    standardizer.fit(values)
    grid = standardizer(values).view(-1, ROWS, 256)
    assert torch.allclose(grid.mean(dim=0), torch.zeros(ROWS, 256), atol=1e-5)
    assert torch.allclose(grid.std(dim=0, correction=0), torch.ones(ROWS, 256), atol=1e-4)


@pytest.mark.parametrize("num_codebooks", [1, 3])
def test_tokenizer_gives_the_codes_of_the_naive_one(features, num_codebooks):
    values = LogMelPatches(SIZE)(features)
    tokenizer = RandomProjectionTokenizer(ROWS, 256, num_codes=32, code_size=12, num_codebooks=num_codebooks, seed=5)
    tokenizer.standardize.fit(values)
    buffers = (tokenizer.standardize.mean, tokenizer.standardize.std, tokenizer.projection, tokenizer.codebook)
    codes = tokenizer(values)
    expected, lead = naive_codes(values.double().numpy(), *(buffer.double().numpy() for buffer in buffers))
    assert lead > 1e-5  # no rounding decides
    np.testing.assert_array_equal(codes.numpy(), expected)
    assert len(np.unique(expected)) > 16
    some = torch.tensor([[1, 9, 20], [0, 8, 16], [5, 6, 23]])
    index = some[:, :, None]
    picked = tokenizer(values.gather(1, index.expand(-1, -1, 256)), some)
    assert torch.equal(picked, codes.gather(1, index.expand(-1, -1, num_codebooks)))


def test_tokenizer_is_frozen_and_depends_on_its_seed_alone():
    first, again, other = (RandomProjectionTokenizer(ROWS, 256, 32, 12, seed=seed) for seed in (1, 1, 2))
    assert not list(first.parameters())
    assert torch.equal(first.projection, again.projection) and torch.equal(first.codebook, again.codebook)
    assert not torch.equal(first.codebook, other.codebook)


def test_when_values_are_scaled_then_codes_stay(features):
    values = cut_patches(features, SIZE)
    values = values - values.mean(dim=(0, 1))
    tokenizer = RandomProjectionTokenizer(ROWS, 256, 32, 12)
    assert torch.equal(tokenizer(values), tokenizer(4.0 * values))


def test_teacher_tokens_are_the_hidden_states_at_the_teachers_level(features):
    torch.manual_seed(0)
    teacher = BeatsModel(BeatsConfig(**ENCODER, embedding_layer=1))
    tokens = TeacherTokens(teacher, None, -0.15)
    with torch.no_grad():
        expected = teacher(set_clip_level(features, -0.15), output_hidden_states=True).hidden_states[1]
    assert torch.equal(tokens(features), expected)
    assert tokens.size == 32 and not any(weight.requires_grad for weight in teacher.parameters())


@pytest.mark.parametrize(("named", "read"), [(0, 0), (1, 1), (None, 2)])
def test_without_a_layer_the_one_that_the_teachers_configuration_names_is_read(features, named, read):
    teacher = BeatsModel(BeatsConfig(**ENCODER, embedding_layer=named))
    tokens = TeacherTokens(teacher, None, None)
    with torch.no_grad():
        expected = teacher(features, output_hidden_states=True).hidden_states[read]
    assert tokens.layer == read and torch.equal(tokens(features), expected)


def test_when_teacher_has_no_such_layer_then_error_names_those_that_it_has():
    with pytest.raises(ValueError, match=r"tokenizer_layer is 3, the model has layers 0 to 2"):
        TeacherTokens(BeatsModel(BeatsConfig(**ENCODER)), 3, None)
