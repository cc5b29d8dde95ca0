"""The statistics of each patch, against loops over patches and bins; loading, saving and code without the package."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModel

from modeling_retainmix import BeatsFeatureExtractor, LogMelConfig, LogMelModel
from modeling_retainmix.encoders.modeling_log_mel import patch_statistics


def naive_statistics(features, size):
    tokens = []
    for time in range(features.shape[0] // size):
        for band in range(features.shape[1] // size):
            patch = features[time * size : (time + 1) * size, band * size : (band + 1) * size]
            bins = [patch[:, index] for index in range(size)]
            steps = [[column[frame + 1] - column[frame] for frame in range(size - 1)] for column in bins]
            tokens.append([*map(np.mean, bins), *map(np.std, bins), *map(np.std, steps)])
    return np.asarray(tokens)


@pytest.mark.parametrize("frames", [16, 50])
def test_statistics_are_those_of_each_patch_and_bin(frames):
    features = np.random.default_rng(0).normal(2, 3, (2, frames, 128))
    statistics = patch_statistics(torch.from_numpy(features), 16)
    assert statistics.shape == (2, frames // 16 * 8, 48)
    for clip, tokens in zip(features, statistics.numpy(), strict=True):
        np.testing.assert_allclose(tokens, naive_statistics(clip, 16), rtol=1e-10)


def test_model_has_the_interface_of_an_encoder():
    model, features = LogMelModel(LogMelConfig()), torch.randn(2, 40, 128)
    outputs = model(features, output_hidden_states=[0])
    torch.testing.assert_close(outputs.hidden_states[0], patch_statistics(features, 16), rtol=0, atol=0)
    torch.testing.assert_close(outputs.last_hidden_state, outputs.hidden_states[0], rtol=0, atol=0)
    assert model(features).hidden_states is None
    assert model(features, return_dict=False)[0].shape == (2, 16, 48)
    config = model.config
    assert (config.num_hidden_layers, config.num_mel_patches, config.num_prefix_tokens) == (0, 8, 0)


def test_saved_folder_loads_with_and_without_the_package(tmp_path):
    LogMelModel(LogMelConfig()).save_pretrained(tmp_path)
    BeatsFeatureExtractor(clip_level=0.0).save_pretrained(tmp_path)
    assert type(AutoModel.from_pretrained(tmp_path)) is LogMelModel
    assert AutoFeatureExtractor.from_pretrained(tmp_path).clip_level == 0.0
    code = (
        "import sys, torch; sys.modules['modeling_retainmix'] = None\n"
        "from transformers import AutoModel, AutoFeatureExtractor\n"
        f"model = AutoModel.from_pretrained({str(tmp_path)!r}, trust_remote_code=True)\n"
        f"extractor = AutoFeatureExtractor.from_pretrained({str(tmp_path)!r}, trust_remote_code=True)\n"
        "waveform = torch.linspace(-1, 1, 16000).sin()\n"
        "features = extractor(waveform, sampling_rate=16000)['input_values']\n"
        "print(model(features).last_hidden_state.double().sum().item())"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    features = BeatsFeatureExtractor(clip_level=0.0)(torch.linspace(-1, 1, 16000).sin(), sampling_rate=16000)
    expected = patch_statistics(features["input_values"], 16).double().sum().item()
    assert float(printed.split()[-1]) == pytest.approx(expected, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize(
    ("field", "value"), [("hidden_size", 32), ("num_hidden_layers", 1)], ids=["hidden_size", "num_hidden_layers"]
)
def test_when_a_file_asks_for_other_sizes_then_error_names_field_and_value(tmp_path, field, value):
    LogMelModel(LogMelConfig()).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {field: value}))
    with pytest.raises(ValueError, match=f"{field} is {value}, the log-mel statistics have"):
        AutoModel.from_pretrained(tmp_path)
