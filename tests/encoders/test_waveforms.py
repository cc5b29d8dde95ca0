"""Forms of input that the feature extractors take as AST's does, and those that they refuse with the cure."""

from pathlib import Path

import numpy as np
import pytest
import torch
from families import FAMILIES
from transformers.utils import PaddingStrategy, TensorType


def noise(*shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=FAMILIES)
def extractor(request):
    return FAMILIES[request.param].extractor_class()


def features(extractor, clips, **options):
    return extractor(clips, sampling_rate=16_000, **options)["input_values"]


def test_arrays_that_torch_cannot_wrap_are_copied(extractor):
    clip = noise(8000).numpy()
    expected = features(extractor, clip)
    read_only = clip.copy()
    read_only.flags.writeable = False
    forms = [clip[::-1].copy()[::-1], clip.astype(">f4"), clip.astype(np.longdouble), read_only, clip.repeat(2)[::2]]
    for form in forms:
        assert torch.equal(features(extractor, form), expected)
        assert torch.equal(features(extractor, [form]), expected)
    integers = (clip * 32767).astype(np.int16)
    assert torch.equal(features(extractor, integers.astype(">i2")), features(extractor, integers))
    assert torch.equal(
        features(extractor, np.array([clip, clip[:5000]], dtype=object)), features(extractor, [clip, clip[:5000]])
    )


def test_lists_of_python_numbers_are_floats_also_where_all_of_them_are_whole(extractor):
    square = [0, 0, 1, 1, 0, 0, -1, -1] * 1000
    assert torch.equal(features(extractor, square), features(extractor, torch.tensor(square).float()))
    assert torch.equal(features(extractor, [square, square]), features(extractor, [torch.tensor(square).float()] * 2))
    with pytest.raises(ValueError, match="clip 1 is a list of whole numbers up to 1200: pass them as an int16 array"):
        features(extractor, [square, [1200, -300] * 4000])


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ((noise(8000).numpy(), 16_000), "a pair of a waveform and the number 16000: .* sampling_rate=16000"),
        ({"array": noise(8000).numpy(), "sampling_rate": 16_000}, r"clip 0 is a dictionary \(array, sampling_rate\)"),
        ([noise(8000), {"array": noise(8000)}], r"clip 1 is a dictionary \(array\): pass .*audio\['array'\]"),
        ("sounds/fan.wav", "clip 0 is 'sounds/fan.wav', not a waveform: read the file"),
        ([noise(8000), Path("fan.wav")], r"clip 1 is PosixPath\('fan.wav'\)|clip 1 is WindowsPath"),
        (b"RIFF", "clip 0 is b'RIFF', not a waveform"),
        ([noise(8000), None], "clip 1 is a NoneType of object"),
        ([[0.1, 0.2], [[0.1], 0.2]], "clip 1 cannot be read as an array of numbers"),
        (["a", "b"], "clip 0 is 'a', not a waveform"),
        (3.5, r"clip 0 has shape \[\]"),
        (noise(8000).to(torch.complex64), "complex64"),
    ],
)
def test_what_is_not_a_waveform_is_refused_with_the_cure(extractor, raw, message):
    with pytest.raises(ValueError, match=message):
        features(extractor, raw)


@pytest.mark.parametrize("kind", ["tf", "foo", "jax", 3])
def test_unknown_kind_of_tensors_is_refused(extractor, kind):
    with pytest.raises(ValueError, match=f"return_tensors is {kind!r}, use 'pt', 'np' or None"):
        extractor(noise(8000), sampling_rate=16_000, return_tensors=kind)


def test_without_tensors_the_clips_are_a_list_of_arrays(extractor):
    clips = [noise(16_000), noise(9000)]
    tensors = extractor(clips, sampling_rate=16_000, return_attention_mask=True)
    for kind in (TensorType.NUMPY, None):
        outputs = extractor(clips, sampling_rate=16_000, return_attention_mask=True, return_tensors=kind)
        for name in ("input_values", "attention_mask"):
            assert isinstance(outputs[name], list) == (kind is None)
            assert all(isinstance(value, np.ndarray) for value in outputs[name])
            np.testing.assert_array_equal(np.stack(list(outputs[name])), tensors[name].numpy())


@pytest.mark.parametrize("padding", [False, "do_not_pad", PaddingStrategy.DO_NOT_PAD])
def test_without_padding_each_clip_has_its_own_length(padding):
    for extractor in (FAMILIES["beats"].extractor_class(), FAMILIES["eat"].extractor_class(target_length=None)):
        clips = [noise(16_000), noise(9000)]
        outputs = features(extractor, clips, padding=padding, return_tensors=None)
        for values, clip in zip(outputs, clips, strict=True):
            np.testing.assert_allclose(values, features(extractor, clip)[0].numpy(), atol=1e-5)
        assert len(outputs[0]) > len(outputs[1])
        with pytest.raises(ValueError, match="lengths from 9000 to 16000 samples: use padding=True"):
            features(extractor, clips, padding=padding)
        with pytest.raises(ValueError, match="clip 1 is empty"):
            features(extractor, [clips[0], noise(0)], padding=padding, return_tensors=None)


def test_typing_error_among_the_settings_is_refused(extractor):
    with pytest.raises(ValueError, match=r"'feature_sise' of .*: use 'feature_size'"):
        type(extractor)(feature_sise=64)
    assert type(extractor)(microphone="left").microphone == "left"
