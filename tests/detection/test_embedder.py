"""Embeddings equal the pooled hidden states of the whole model, and no layer above the highest one is computed."""

import numpy as np
import pytest
import torch

from modeling_retainmix import BeatsFeatureExtractor
from modeling_retainmix.detection.embedder import Embedder, token_changes
from modeling_retainmix.detection.pooling import pool_tokens
from modeling_retainmix.detection.vector_layout import joined_blocks
from modeling_retainmix.encoders import EatConfig, EatFeatureExtractor, EatModel, LogMelConfig
from modeling_retainmix.encoders.modeling_log_mel import LogMelModel, patch_statistics


@pytest.fixture(scope="module")
def waveforms():
    return 0.1 * torch.randn(3, 8000, generator=torch.Generator().manual_seed(1))


def test_embeddings_are_the_pooled_hidden_states(tiny_model, feature_extractor, waveforms):
    embeddings = Embedder(tiny_model, feature_extractor, [0, 2, 3]).embed(waveforms)
    features = feature_extractor(waveforms, sampling_rate=16000)["input_values"]
    with torch.no_grad():
        hidden_states = tiny_model(features, output_hidden_states=True).hidden_states
    assert list(embeddings) == [0, 2, 3]
    for layer, values in embeddings.items():
        torch.testing.assert_close(values, pool_tokens(hidden_states[layer], 8), rtol=0, atol=0)


def test_when_a_lower_layer_is_read_then_model_is_cut_and_its_parameters_are_shared(
    tiny_model, feature_extractor, waveforms
):
    embedder = Embedder(tiny_model, feature_extractor, [1])
    assert len(embedder.model.layers) == 1
    assert len(tiny_model.layers) == tiny_model.config.num_hidden_layers == 3
    shared = {parameter.data_ptr() for parameter in tiny_model.parameters()}
    assert all(parameter.data_ptr() in shared for parameter in embedder.model.parameters())
    whole = Embedder(tiny_model, feature_extractor, [1, 3]).embed(waveforms)
    torch.testing.assert_close(embedder.embed(waveforms)[1], whole[1], rtol=0, atol=0)


def test_embedding_of_a_clip_does_not_depend_on_its_batch(tiny_model, feature_extractor, waveforms):
    embedder = Embedder(tiny_model, feature_extractor, [2])
    alone = torch.cat([embedder.embed(waveform[None])[2] for waveform in waveforms])
    torch.testing.assert_close(embedder.embed(waveforms)[2], alone, rtol=1e-5, atol=1e-6)


def test_when_frames_are_padded_then_only_real_columns_are_averaged(tiny_model, feature_extractor, waveforms):
    class PaddingExtractor:
        """Pads 48 frames to 64, as EAT's extractor pads to 1024."""

        def extract_features(self, waveform):
            return torch.nn.functional.pad(feature_extractor.extract_features(waveform), (0, 0, 0, 16))

        def frame_mask(self, lengths, num_samples):
            return torch.nn.functional.pad(feature_extractor.frame_mask(lengths, num_samples), (0, 16))

    embedder = Embedder(tiny_model, PaddingExtractor(), [2])
    tokens = embedder.tokens(waveforms)
    assert tokens.hidden[2].shape[1] == 4 * 8
    assert tokens.real_columns.tolist() == [True, True, True, False]
    torch.testing.assert_close(embedder.embed(waveforms)[2], pool_tokens(tokens.hidden[2][:, : 3 * 8], 8))


def test_levels_are_the_means_of_the_patches(tiny_model, feature_extractor, waveforms):
    levels = Embedder(tiny_model, feature_extractor, [1]).tokens(waveforms).levels
    features = feature_extractor.extract_features(waveforms)
    assert levels.shape == (3, 3, 8)
    torch.testing.assert_close(levels[1, 2, 5], features[1, 32:48, 80:96].mean())


@pytest.mark.parametrize("samples", [8000, 8900])  # 3 columns of 16 frames, without and with frames of a part of one
@pytest.mark.parametrize("pooling", ["time_mean_std", "time_generalized_mean", "time_rdp"])
def test_pooling_and_its_exponents_are_those_of_the_embedder(tiny_model, feature_extractor, pooling, samples):
    waveforms = 0.1 * torch.randn(2, samples, generator=torch.Generator().manual_seed(0))
    embedder = Embedder(tiny_model, feature_extractor, [2], "cpu", pooling, pooling_p=2.0, rdp_gamma=4.0)
    tokens = embedder.tokens(waveforms).hidden[2]
    expected = pool_tokens(tokens[:, : 3 * 8], 8, pooling, p=2.0, gamma=4.0)
    torch.testing.assert_close(embedder.embed(waveforms)[2], expected)


@pytest.mark.parametrize("samples", [100, 399, 2799])
def test_when_a_clip_fills_no_column_then_error_names_it(tiny_model, feature_extractor, samples):
    embedder = Embedder(tiny_model, feature_extractor, [1])
    with pytest.raises(
        ValueError, match=rf"a\.wav is {samples / 16000:.4g} s long; at least 0\.175 s are needed: leave"
    ):
        embedder.check_length(samples, "a.wav")
    embedder.check_length(2800, "a.wav")


@pytest.mark.parametrize("layers", [[], [4], [-1, 2]])
def test_when_layer_does_not_exist_then_error_names_the_range(tiny_model, feature_extractor, layers):
    with pytest.raises(ValueError, match="is not valid for a model of 3 layers: use 0 to 3"):
        Embedder(tiny_model, feature_extractor, layers)


def test_bins_above_the_highest_frequency_have_no_influence(tiny_model, feature_extractor):
    time = torch.arange(16000) / 16000
    noise = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0)) * 0.1
    spectrum = torch.fft.rfft(noise)
    spectrum[:, 4500:] = 0  # 4.5 kHz on
    narrow = torch.fft.irfft(spectrum)
    whole, common = (Embedder(tiny_model, feature_extractor, [2], max_frequency=limit) for limit in (None, 4000))
    assert not torch.allclose(whole.embed(narrow)[2], whole.embed(noise)[2], atol=0.1)
    torch.testing.assert_close(common.embed(narrow)[2], common.embed(noise)[2], rtol=1e-3, atol=1e-3)
    low = torch.sin(2 * torch.pi * 3000 * time)[None]
    assert not torch.allclose(common.embed(low)[2], common.embed(noise)[2], atol=0.1)


def test_statistics_and_level_need_no_encoder(tiny_model, feature_extractor, waveforms):
    embedder = Embedder(tiny_model, feature_extractor, ["level", "log-mel"])
    assert embedder.layers == ["log-mel", "level"]  # whatever the order given
    features = feature_extractor.extract_features(waveforms)
    columns = features.shape[1] // 16
    levels = features.mean(dim=(1, 2))
    embedder.model.forward = None  # is not called
    embeddings = embedder.embed(waveforms)
    statistics = patch_statistics(features - levels[:, None, None], 16)
    expected = statistics.view(3, columns, 8, 48).mean(dim=1).flatten(1)
    torch.testing.assert_close(embeddings["log-mel"], expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(embeddings["level"], levels[:, None].expand(-1, 8), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pooling", ["time_mean", "time_mean_std", "time_rdp", "frequency_mean", "mean"])
def test_layout_tells_where_each_layer_lies(tiny_model, feature_extractor, waveforms, pooling):
    embedder = Embedder(tiny_model, feature_extractor, [0, 2, "log-mel", "level"], pooling=pooling)
    pooled = embedder.embed(waveforms)
    blocks = embedder.layout.blocks(embedder.join(pooled))
    assert embedder.layout.is_scaled
    for layer, block in zip([0, 2, "log-mel", "level"], blocks, strict=True):
        torch.testing.assert_close(block, pooled[layer], rtol=0, atol=0)


def test_joined_statistics_are_the_same_beside_any_clip_level(tiny_model, waveforms):
    blocks = {}
    for level in (None, -0.15, 0.3):
        extractor = BeatsFeatureExtractor(clip_level=level)
        blocks[level] = Embedder(tiny_model, extractor, ["log-mel", "level"]).embed(waveforms)
    for level in (-0.15, 0.3):
        for name in ("log-mel", "level"):
            torch.testing.assert_close(blocks[level][name], blocks[None][name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("limit", [None, 4000])
@pytest.mark.parametrize("level", [None, -0.15])
def test_recorded_statistics_are_those_of_the_log_mel_model(tiny_model, waveforms, level, limit):
    extractor = BeatsFeatureExtractor(clip_level=level)
    embedder = Embedder(tiny_model, extractor, ["recorded", 1, "level", "log-mel"], max_frequency=limit)
    assert embedder.layers == [1, "log-mel", "level", "recorded"]
    expected = Embedder(LogMelModel(LogMelConfig()), BeatsFeatureExtractor(), [0], max_frequency=limit)
    actual = embedder.embed(waveforms)["recorded"]
    torch.testing.assert_close(actual, expected.embed(waveforms)[0], rtol=1e-5, atol=1e-5)


def test_when_high_bins_are_not_read_then_the_level_does_not_hear_them(tiny_model, waveforms):
    """A clip without high frequencies equals the same clip with them, at any clip level."""
    times = torch.arange(8000) / 16000
    low = 0.1 * torch.randn(1, 8000, generator=torch.Generator().manual_seed(2))
    spectrum = torch.fft.rfft(low)
    spectrum[:, 3000:] = 0  # 6 kHz and up
    low = torch.fft.irfft(spectrum, n=8000)
    both = low + 0.05 * torch.sin(2 * torch.pi * 7500 * times)
    layers = [0, "log-mel", "level"]
    embedder = Embedder(tiny_model, BeatsFeatureExtractor(clip_level=-0.15), layers, max_frequency=4000)
    for layer, values in embedder.embed(low).items():
        torch.testing.assert_close(embedder.embed(both)[layer], values, rtol=2e-2, atol=2e-2)


def changes_one_by_one(tokens, num_freq):
    grid = tokens.unflatten(1, (-1, num_freq)).double().numpy()
    changes = np.zeros_like(grid)
    for column in range(1, grid.shape[1]):
        changes[:, column] = abs(grid[:, column] - grid[:, column - 1])
    if grid.shape[1] > 1:
        changes[:, 0] = changes[:, 1]
    return changes


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_changes_are_the_differences_of_successive_columns(columns):
    tokens = torch.randn(2, columns * 8, 6, generator=torch.Generator().manual_seed(columns))
    actual = token_changes(tokens, 8).unflatten(1, (columns, 8))
    np.testing.assert_allclose(actual.numpy(), changes_one_by_one(tokens, 8), rtol=1e-5, atol=1e-6)


def test_changes_are_pooled_behind_the_other_blocks_and_read_their_layer_alone(
    tiny_model, feature_extractor, waveforms
):
    embedder = Embedder(tiny_model, feature_extractor, ["change-2", "level", 1, "change-1"])
    assert embedder.layers == [1, "level", "change-1", "change-2"] and embedder.indices == [1, 2]
    assert embedder.layout.num_changes == 2 and embedder.layout.is_scaled
    tokens, pooled = embedder.tokens(waveforms), embedder.embed(waveforms)
    assert set(pooled) == set(embedder.layers)
    expected = changes_one_by_one(tokens.hidden[1], 8).mean(axis=1).reshape(3, -1)
    np.testing.assert_allclose(pooled["change-1"].numpy(), expected, rtol=1e-4, atol=1e-5)
    alone = Embedder(tiny_model, feature_extractor, ["change-2"])
    assert alone.model.config.num_hidden_layers == 2
    torch.testing.assert_close(alone.embed(waveforms)["change-2"], pooled["change-2"])


def test_changes_of_the_statistics_lie_behind_those_of_layers(tiny_model, feature_extractor, waveforms):
    embedder = Embedder(tiny_model, feature_extractor, ["change-recorded", "change-1", "recorded", 1])
    assert embedder.layers == [1, "recorded", "change-1", "change-recorded"] == list(joined_blocks(1))
    tokens, pooled = embedder.tokens(waveforms), embedder.embed(waveforms)
    expected = changes_one_by_one(tokens.hidden["recorded"], 8).mean(axis=1).reshape(3, -1)
    np.testing.assert_allclose(pooled["change-recorded"].numpy(), expected, rtol=1e-4, atol=1e-5)
    assert embedder.layout.num_changes == 2 and embedder.join(pooled).shape[1] == 2 * 8 * (24 + 48)
    alone = Embedder(tiny_model, feature_extractor, ["change-recorded"])
    assert alone.indices == [] and alone.layout.num_changes == 1
    torch.testing.assert_close(alone.embed(waveforms)["change-recorded"], pooled["change-recorded"])


@pytest.mark.parametrize(
    ("clip_level", "layers", "expected"),
    [
        (None, [1], True),
        (0.0, [1], False),
        (None, ["log-mel"], False),
        (None, ["change-1"], True),
        (0.0, [1, "level"], True),
        (0.0, ["recorded", "change-1"], True),
        (0.0, [1, "change-recorded"], False),
    ],
)
def test_the_level_is_heard_where_a_gain_moves_the_embedding(tiny_model, waveforms, clip_level, layers, expected):
    embedder = Embedder(tiny_model, BeatsFeatureExtractor(clip_level=clip_level), layers)
    assert embedder.hears_level == expected
    pooled = [embedder.embed(gain * waveforms) for gain in (1.0, 2.0)]
    # a band without energy stays where it is while the mean moves, hence the mean of all
    moves = {layer: float((pooled[1][layer] - values).abs().mean()) for layer, values in pooled[0].items()}
    assert (max(moves.values()) > 0.02) == expected, moves


@pytest.mark.parametrize(
    ("clip_level", "layers", "expected"),
    [
        (None, [1], True),
        (0.0, [1], False),
        (0.0, [1, "change-recorded"], False),
        (0.0, [1, "level"], True),
        (0.0, ["recorded", "change-1"], True),
    ],
)
def test_cells_move_with_a_gain_where_it_is_heard(tiny_model, waveforms, clip_level, layers, expected):
    embedder = Embedder(tiny_model, BeatsFeatureExtractor(clip_level=clip_level), layers, max_frequency=4000)
    quiet, loud = (embedder.tokens(gain * waveforms) for gain in (1.0, 2.0))
    heard = quiet.cells.abs().sum(dim=(0, 1)) > 0  # bands above 4 kHz are not read
    assert heard.any() and not heard.all()
    assert (float((loud.cells - quiet.cells)[..., heard].mean()) > 0.02) == expected
    torch.testing.assert_close(embedder.cells(2 * waveforms), loud.cells)
    assert (float((loud.levels - quiet.levels).abs().mean()) > 0.02) == (clip_level is None)


def test_the_spectrum_of_a_clip_is_computed_once(tiny_model, waveforms, monkeypatch):
    extractor, calls = BeatsFeatureExtractor(clip_level=0.0), []
    log_mel = BeatsFeatureExtractor.log_mel

    def counted(self, waveform, lengths=None):
        calls.append(len(waveform))
        return log_mel(self, waveform, lengths)

    monkeypatch.setattr(BeatsFeatureExtractor, "log_mel", counted)
    found = Embedder(tiny_model, extractor, joined_blocks(1)).embed(waveforms)
    assert calls == [len(waveforms)]
    for layer, values in found.items():
        torch.testing.assert_close(values, Embedder(tiny_model, extractor, [layer]).embed(waveforms)[layer])


def test_changes_hear_no_padding():
    """Behind a steady hum the padding begins, which would be the greatest change of all."""
    torch.manual_seed(0)
    config = EatConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    embedder = Embedder(EatModel(config), EatFeatureExtractor(), ["change-0"])
    tokens = embedder.tokens(0.1 * torch.sin(torch.arange(48_000) * 0.157)[None])
    real = int(tokens.real_columns.sum()) * 8
    changes = tokens.hidden["change-0"]
    assert 0 < real < changes.shape[1]
    expected = changes[:, :real].unflatten(1, (-1, 8)).mean(dim=1).flatten(1)
    torch.testing.assert_close(embedder.pool(tokens)["change-0"], expected)
    assert changes[:, real : real + 8].mean() > 2 * expected.mean()


@pytest.mark.parametrize("layers", [[], [4], [0, "loudness"], ["change-4"], ["change-x"], ["change--1"]])
def test_when_a_layer_does_not_exist_then_error_lists_what_does(tiny_model, feature_extractor, layers):
    with pytest.raises(
        ValueError, match='is not valid for a model of 3 layers: use 0 to 3, "log-mel", "level", "recorded", "change-r'
    ):
        Embedder(tiny_model, feature_extractor, layers)
