"""What the BEATs feature extractor takes, gives and refuses."""

import json

import numpy as np
import pytest
import torch

from modeling_retainmix.encoders import BeatsFeatureExtractor, feature_extraction_beats
from modeling_retainmix.encoders.fbank import kaldi_fbank


def noise(*shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def extractor():
    return BeatsFeatureExtractor()


def test_features_are_the_normalised_filter_bank_of_the_16_bit_waveform(extractor):
    waveform = noise(2, 16_000)
    expected = (kaldi_fbank(waveform * 32768) - 15.41663) / (2 * 6.55582)
    outputs = extractor(waveform, sampling_rate=16_000)
    assert torch.equal(outputs["input_values"], expected)
    assert torch.equal(outputs["input_values"], extractor.extract_features(waveform))
    assert outputs["attention_mask"].shape == (2, 98)
    assert outputs["attention_mask"].all()


def test_every_form_of_the_same_clip_gives_the_same_features(extractor):
    waveform = noise(8000)
    forms = [
        waveform,
        waveform[None],
        waveform.numpy(),
        waveform.double().numpy(),
        waveform.tolist(),
        [waveform],
        [waveform.numpy()],
        [waveform[None]],
        waveform[None, None],
    ]
    expected = extractor(waveform, sampling_rate=16_000)["input_values"]
    assert expected.shape == (1, 48, 128)
    for form in forms:
        assert torch.equal(extractor(form, sampling_rate=16_000)["input_values"], expected)


def test_int16_equals_float_in_unit_range(extractor):
    samples = (noise(8000) * 32767).round().short()
    expected = extractor(samples.float() / 32768, sampling_rate=16_000)["input_values"]
    assert torch.equal(extractor(samples.numpy(), sampling_rate=16_000)["input_values"], expected)
    assert torch.equal(extractor([samples], sampling_rate=16_000)["input_values"], expected)


def test_clips_of_different_lengths_are_padded_as_waveforms():
    clips, extractor = [noise(16_000), noise(8000)], BeatsFeatureExtractor(padding_rule="fold")
    outputs = extractor(clips, sampling_rate=16_000)
    padded = torch.stack([clips[0], torch.nn.functional.pad(clips[1], (0, 8000))])
    assert torch.equal(outputs["input_values"], extractor.extract_features(padded))
    # 98 frames share 16000 samples: 163 each, of which 8000 reach into 50.
    assert outputs["attention_mask"].sum(dim=1).tolist() == [98, 50]


def test_padding_rule_conv_counts_frames_whose_samples_are_all_real(extractor):
    assert extractor.padding_rule == "conv"
    outputs = extractor([noise(16_000), noise(8000)], sampling_rate=16_000)
    assert outputs["attention_mask"].sum(dim=1).tolist() == [98, 48]


def test_frame_mask_of_the_fold_rule_equals_folding_the_sample_mask():
    extractor = BeatsFeatureExtractor(padding_rule="fold")
    lengths = torch.tensor([3000, 7919, 12_345, 24_000])
    mask = torch.arange(24_000) < lengths[:, None]
    frames = 148
    folded = mask[:, : 24_000 - 24_000 % frames].view(4, frames, -1).any(dim=-1)
    assert torch.equal(extractor.frame_mask(lengths, 24_000), folded)


def test_padding_to_max_length_and_truncation(extractor):
    clips = [noise(16_000), noise(8000)]
    outputs = extractor(clips, sampling_rate=16_000, padding="max_length", max_length=12_000, truncation=True)
    assert torch.equal(
        outputs["input_values"][0], extractor(clips[0][:12_000], sampling_rate=16_000)["input_values"][0]
    )
    assert outputs["input_values"].shape == (2, 73, 128)
    with pytest.raises(ValueError, match="clip 0 has 16000 samples"):
        extractor(clips, sampling_rate=16_000, padding="max_length", max_length=12_000)


def test_stereo_needs_a_channel_or_the_mean(extractor):
    stereo = noise(2, 8000)
    with pytest.raises(ValueError, match="clip 1 has 2 channels"):
        extractor([noise(8000), stereo], sampling_rate=16_000)
    mean = extractor([stereo], sampling_rate=16_000, channel="mean")["input_values"]
    assert torch.equal(mean, extractor(stereo.mean(dim=0), sampling_rate=16_000)["input_values"])
    right = extractor(stereo[None], sampling_rate=16_000, channel=1)["input_values"]
    assert torch.equal(right, extractor(stereo[1], sampling_rate=16_000)["input_values"])
    with pytest.raises(ValueError, match="clip 0 has 2 channels and channel=2: use an index from 0 to 1, or 'mean'"):
        extractor([stereo], sampling_rate=16_000, channel=2)


def test_when_channels_come_last_then_error_says_where_they_belong(extractor):
    with pytest.raises(ValueError, match=r"the batch has shape \[8000, 2\]: expected \[batch, samples\]"):
        extractor(noise(8000, 2), sampling_rate=16_000)
    with pytest.raises(ValueError, match=r"clip 1 has shape \[8000, 2\]: expected \[channels, samples\], transpose"):
        extractor([noise(8000), noise(8000, 2)], sampling_rate=16_000, channel="mean")


def test_when_sampling_rate_is_wrong_then_error_names_both(extractor):
    with pytest.raises(ValueError, match=r"44100 Hz.*16000 Hz"):
        extractor(noise(8000), sampling_rate=44_100)
    with pytest.raises(ValueError, match=r"8000 Hz.*16000 Hz"):
        BeatsFeatureExtractor(sampling_rate=8000)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.full((8000,), float("nan")), "clip 1 holds NaN"),
        (torch.full((8000,), float("inf")), "clip 1 holds NaN or infinite"),
        (torch.zeros(0), "clip 1 is empty"),
        (torch.zeros(399), "clip 1 has 399 samples, fewer than the 400"),
        (torch.zeros(8000, dtype=torch.int64), "clip 1 has dtype torch.int64"),
        (torch.zeros(1, 1, 8000), "clip 1 has shape"),
    ],
)
def test_bad_clip_is_an_error_that_says_which(extractor, bad, message):
    with pytest.raises(ValueError, match=message):
        extractor([noise(8000), bad], sampling_rate=16_000)


@pytest.mark.parametrize("empty", [[], torch.zeros(0, 8000)])
def test_no_clip_is_an_error(extractor, empty):
    with pytest.raises(ValueError, match="the list of clips is empty"):
        extractor(empty, sampling_rate=16_000)


def test_rule_conv_repeats_clips_under_a_fifth_of_a_second_whatever_lies_beside_them(extractor):
    clip = noise(2000)
    alone = extractor(clip, sampling_rate=16_000)
    assert torch.equal(alone["input_values"], extractor.extract_features(clip.repeat(2)[None]))
    assert alone["attention_mask"].sum() == 23
    for neighbor in (noise(3000), noise(4000), noise(700)):
        outputs = extractor([neighbor, clip], sampling_rate=16_000)
        assert outputs["attention_mask"][1].sum() == 23
        assert torch.equal(outputs["input_values"][1, :23], alone["input_values"][0])


def test_rule_fold_refuses_clips_without_a_whole_token():
    with pytest.raises(ValueError, match="clip 1 has 2799 samples, fewer than the 2800"):
        BeatsFeatureExtractor(padding_rule="fold")([noise(8000), noise(2799)], sampling_rate=16_000)


def test_when_clips_are_padded_under_the_rule_fold_then_one_warning_says_what_that_means(caplog):
    logger = feature_extraction_beats.logger
    logger.warning_once.cache_clear()
    extractor = BeatsFeatureExtractor(padding_rule="fold")
    with caplog.at_level("WARNING", logger.name):
        extractor([noise(8000), noise(8000)], sampling_rate=16_000)
        assert not caplog.records
        for _ in range(2):
            extractor([noise(8000), noise(6000)], sampling_rate=16_000)
    (record,) = caplog.records
    assert "padding_rule='conv'" in record.getMessage()


def test_return_tensors_np_gives_arrays_and_mask_can_be_left_out(extractor):
    outputs = extractor(noise(8000), sampling_rate=16_000, return_tensors="np", return_attention_mask=False)
    assert list(outputs) == ["input_values"]
    assert isinstance(outputs["input_values"], np.ndarray)


def test_saved_extractor_loads_with_its_settings(tmp_path):
    BeatsFeatureExtractor(mean=1.5, std=2.5, padding_rule="conv").save_pretrained(tmp_path)
    assert json.loads((tmp_path / "preprocessor_config.json").read_text())["mean"] == 1.5
    again = BeatsFeatureExtractor.from_pretrained(tmp_path)
    assert (again.mean, again.std, again.padding_rule) == (1.5, 2.5, "conv")


def test_unknown_padding_rule_is_an_error():
    with pytest.raises(ValueError, match="'fould'"):
        BeatsFeatureExtractor(padding_rule="fould")
