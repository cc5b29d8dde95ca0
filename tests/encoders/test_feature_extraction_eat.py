"""What sets the EAT feature extractor apart; the forms of input are those of the BEATs extractor."""

import pytest
import torch
from families import EAT

from modeling_retainmix.encoders import EatFeatureExtractor
from modeling_retainmix.encoders.fbank import kaldi_fbank


def noise(*shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(0)) + 0.05


def naive_features(clip: torch.Tensor, target_length: int) -> torch.Tensor:
    features = kaldi_fbank((clip - clip.mean())[None], window="hanning")[0]
    padded = torch.cat([features, torch.zeros(target_length - len(features), 128)])
    return (padded + 4.268) / 9.138


def test_ten_seconds_become_1024_frames_with_zeros_before_the_normalisation():
    clip = noise(160_000)
    outputs = EatFeatureExtractor()(clip, sampling_rate=16_000)
    assert list(outputs) == ["input_values"]
    assert outputs["input_values"].shape == (1, 1024, 128)
    torch.testing.assert_close(outputs["input_values"][0], naive_features(clip, 1024))
    torch.testing.assert_close(outputs["input_values"][0, 998:], torch.full((26, 128), 4.268 / 9.138))


def test_clip_in_a_batch_of_other_lengths_equals_clip_alone():
    clips = [noise(16_000), noise(9_000)]
    outputs = EatFeatureExtractor(target_length=112)(clips, sampling_rate=16_000, return_attention_mask=True)
    for index, clip in enumerate(clips):
        torch.testing.assert_close(outputs["input_values"][index], naive_features(clip, 112), atol=2e-5, rtol=0)
    assert outputs["attention_mask"].sum(dim=1).tolist() == [98, 54]


def test_without_target_length_frames_are_rounded_up_to_whole_patches():
    features = EatFeatureExtractor(target_length=None).extract_features(noise(2, 16_000))
    assert features.shape == (2, 112, 128)


def test_when_clip_is_longer_than_the_target_then_error_names_both_and_truncation_helps():
    extractor = EatFeatureExtractor(target_length=64)
    with pytest.raises(ValueError, match=r"98 frames, more than target_length=64"):
        extractor(noise(16_000), sampling_rate=16_000)
    outputs = extractor(noise(16_000), sampling_rate=16_000, max_length=10_480, truncation=True)
    assert outputs["input_values"].shape == (1, 64, 128)


def test_target_length_between_multiples_of_a_patch_is_kept_and_the_last_frames_are_not_read():
    clip, model = noise(16_000), EAT.model()
    features = EatFeatureExtractor(target_length=100)(clip, sampling_rate=16_000)["input_values"]
    assert features.shape == (1, 100, 128)
    torch.testing.assert_close(features[0], naive_features(clip, 100))
    changed = features.clone()
    changed[:, 96:] = 7.0
    with torch.no_grad():
        assert torch.equal(model(changed).last_hidden_state, model(features[:, :96]).last_hidden_state)


def test_when_target_length_is_shorter_than_a_patch_then_error_says_so():
    with pytest.raises(ValueError, match="target_length is 15 frames"):
        EatFeatureExtractor(target_length=15)


def test_mask_is_returned_where_the_padding_depends_on_the_batch(tmp_path):
    assert "attention_mask" in EatFeatureExtractor(target_length=None)(noise(16_000), sampling_rate=16_000)
    EatFeatureExtractor(target_length=None, return_attention_mask=False).save_pretrained(tmp_path)
    again = EatFeatureExtractor.from_pretrained(tmp_path)
    assert "attention_mask" not in again(noise(16_000), sampling_rate=16_000)
