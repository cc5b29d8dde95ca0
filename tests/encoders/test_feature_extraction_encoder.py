"""No clip's result depends on the clips beside it: from waveforms of any lengths, by hand and through the pipeline."""

import json

import numpy as np
import pytest
import torch
from families import FAMILIES
from transformers import pipeline

LENGTHS = (16_000, 9_000, 3_000, 21_003)
CASES = {
    "beats": ("beats", {}),
    "eat of a fixed length": ("eat", {}),
    "eat of the batch's length": ("eat", {"target_length": None}),
}


@pytest.fixture(params=CASES)
def model_and_extractor(request):
    name, options = CASES[request.param]
    family = FAMILIES[name]
    labels = ["fan", "pump", "valve"]
    model = family.classifier(
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
        problem_type="multi_label_classification",
    )
    return model, family.extractor_class(**options)


@pytest.fixture
def clips() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [0.1 * generator.standard_normal(length).astype(np.float32) for length in LENGTHS]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_clip_among_others_gives_the_logits_of_the_clip_alone(model_and_extractor, clips, attention):
    model, extractor = model_and_extractor
    model.set_attn_implementation(attention)
    with torch.no_grad():
        together = model(**extractor(clips, sampling_rate=16_000)).logits
        apart = torch.cat([model(**extractor(clip, sampling_rate=16_000)).logits for clip in clips])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=0)
    assert (apart[0] - apart[1]).abs().max() > 1e-3


def test_pipeline_gives_the_same_scores_in_batches_of_three(model_and_extractor, clips):
    model, extractor = model_and_extractor
    classify = pipeline("audio-classification", model=model, feature_extractor=extractor, device="cpu")
    recordings = [{"raw": clip, "sampling_rate": 16_000} for clip in clips]
    together = classify([dict(recording) for recording in recordings], batch_size=3)
    for answer, recording in zip(together, recordings, strict=True):
        expected = {entry["label"]: entry["score"] for entry in classify(dict(recording))}
        assert {entry["label"]: entry["score"] for entry in answer} == pytest.approx(expected, abs=1e-5)


@pytest.fixture(params=FAMILIES)
def family(request):
    return FAMILIES[request.param]


def test_when_extractor_has_a_clip_level_then_every_clip_is_there_whatever_its_padding(family, tmp_path):
    plain, leveled = family.extractor_class(), family.extractor_class(clip_level=-0.15)
    clips = [0.1 * torch.randn(length, generator=torch.Generator().manual_seed(length)) for length in (16000, 9000)]
    batch = leveled(clips, sampling_rate=16000, return_attention_mask=True)
    for index, clip in enumerate(clips):
        alone = leveled(clip, sampling_rate=16000, return_attention_mask=True)
        real = alone["attention_mask"][0].bool()
        features = alone["input_values"][0, real]
        torch.testing.assert_close(features.mean(), torch.tensor(-0.15), atol=1e-5, rtol=0)
        torch.testing.assert_close(batch["input_values"][index, : len(real)][real], features, atol=1e-5, rtol=0)
        recorded = plain(clip, sampling_rate=16000, return_attention_mask=True)["input_values"][0, real]
        offset = features - recorded
        torch.testing.assert_close(offset, offset.mean().expand_as(offset), atol=1e-5, rtol=0)
    leveled.save_pretrained(tmp_path)
    assert family.extractor_class.from_pretrained(tmp_path).clip_level == -0.15
    assert plain.clip_level is None


def test_when_clip_level_is_not_a_number_then_error_says_so(family):
    with pytest.raises(ValueError, match="clip_level is nan, use a finite number"):
        family.extractor_class(clip_level=float("nan"))


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("mean", [float("nan"), "a", None, 1e300]),
        ("std", [0, -1.0, 1e-300, float("inf"), None]),
        ("padding_value", [float("nan"), "a"]),
        ("feature_size", [0, 10**9, 128.0, "128"]),
        ("clip_level", ["a", 1e300]),
    ],
)
def test_when_a_value_of_the_file_cannot_be_used_then_error_names_it(family, tmp_path, field, values):
    family.extractor_class().save_pretrained(tmp_path)
    content = json.loads((tmp_path / "preprocessor_config.json").read_text())
    for value in values:
        (tmp_path / "preprocessor_config.json").write_text(json.dumps({**content, field: value}))
        with pytest.raises(ValueError, match=rf"^{field} is .*, use "):
            family.extractor_class.from_pretrained(tmp_path)
