"""The trainer of the pre-training: it learns, averages, probes, logs and resumes to the same numbers."""

import copy
import json

import numpy as np
import pytest
import torch
from tiny_pretraining import logged, make_colored_pairs, make_pretraining
from transformers import AutoFeatureExtractor, AutoModel

from modeling_retainmix import AnomalyDetector

SAVING = {"save_strategy": "steps", "save_steps": 3, "probe_steps": 2, "max_steps": 9}  # 6 steps are an epoch


class CountingProbe:
    """Scores that peak at step 4 of the training, at layer 1; keeps the encoders that it sees."""

    def __init__(self):
        self.encoders = []

    def __call__(self, encoder, feature_extractor):
        self.encoders.append(copy.deepcopy(encoder.state_dict()))
        score = [50.0, 60.0, 70.0, 65.0, 65.0, 64.0][len(self.encoders) - 1]
        return {f"probe_{b}_layer_{k}": score - k for b in ("knn", "mahalanobis") for k in range(3)}


class WeightProbe:
    """A score that is a function of the weights alone, as a real one is."""

    def __call__(self, encoder, feature_extractor):
        weights = torch.cat([weight.flatten() for weight in encoder.state_dict().values()])
        return {f"probe_mahalanobis_layer_{k}": 50.0 + float(weights.std()) + k for k in range(3)}


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def without_times(entries):
    timed = ("clips_per_second", "model_flop_utilisation", "train_runtime", "train_samples_per_second")
    return [{k: v for k, v in line.items() if k not in timed} for line in entries if "train_runtime" not in line]


def test_when_trained_then_losses_fall_below_those_of_guessing(tmp_path):
    options = {"source_shares": [1.0, 0.0, 0.0], "max_steps": 60, "learning_rate": 5e-3}
    trainer = make_pretraining(tmp_path, pairs=make_colored_pairs(), per_device_train_batch_size=8, **options)
    trainer.train()
    codes, statistics = np.array(logged(trainer))[:, 1:3].T
    assert codes[:3].mean() == pytest.approx(np.log(16), abs=0.3)
    assert codes[-5:].mean() < codes[:3].mean() - 0.5
    assert statistics[-5:].mean() < 0.6 * statistics[:3].mean()


@pytest.mark.parametrize("codebooks", [1, 2])
def test_when_run_is_interrupted_and_resumed_then_it_equals_the_unbroken_one_bit_for_bit(tmp_path, codebooks):
    options = SAVING | {"num_codebooks": codebooks, "gradient_accumulation_steps": 2, "per_device_train_batch_size": 2}
    whole = make_pretraining(tmp_path / "whole", WeightProbe(), **options)
    whole.train()
    broken = make_pretraining(tmp_path / "broken", WeightProbe(), **options | {"max_steps": 5, "save_steps": 3})
    broken.train()  # two steps further than its last checkpoint
    resumed = make_pretraining(tmp_path / "broken", WeightProbe(), **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "broken" / "checkpoint-3"))
    assert logged(resumed) == logged(whole)
    for ours, theirs in ((resumed.model, whole.model), (resumed.average, whole.average)):
        for name, values in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], values), name
    assert without_times(lines(tmp_path / "broken")) == without_times(lines(tmp_path / "whole"))
    for name in ("best", "last"):
        records = [json.loads((tmp_path / run / name / "pretraining.json").read_text()) for run in ("whole", "broken")]
        assert records[0] == records[1]


def test_average_is_the_warmed_exponential_one(tmp_path):
    trainer = make_pretraining(tmp_path, max_steps=5, ema_decay=0.3)
    snapshots, update = [], trainer.average.update_parameters

    def recording(encoder):
        snapshots.append(copy.deepcopy(encoder.state_dict()))
        update(encoder)

    trainer.average.update_parameters = recording
    trainer.train()
    averaged = trainer.averaged_encoder().state_dict()
    for name in averaged:
        expected = snapshots[0][name]
        for count, snapshot in enumerate(snapshots[1:], 1):
            decay = min(0.3, (1 + count) / (10 + count))
            expected = decay * expected + (1 - decay) * snapshot[name]
        assert torch.allclose(averaged[name], expected, atol=1e-6), name


def test_when_probed_then_scores_are_logged_and_the_best_weights_are_kept_as_a_plain_encoder(tmp_path):
    probe = CountingProbe()
    make_pretraining(tmp_path, probe, probe_steps=2, max_steps=9).train()
    scores = [
        (line["step"], line["probe_score"], line["probe_best_layer"])
        for line in lines(tmp_path)
        if "probe_score" in line
    ]
    assert scores == [(0, 49.0, 1), (2, 59.0, 1), (4, 69.0, 1), (6, 64.0, 1), (8, 64.0, 1), (9, 63.0, 1)]
    assert [line["step"] for line in lines(tmp_path) if "loss" in line] == list(range(1, 10))
    best = AutoModel.from_pretrained(tmp_path / "best")
    assert type(best).__name__ == "BeatsModel" and best.config.embedding_layer == 1
    for name, values in best.state_dict().items():
        assert torch.equal(values, probe.encoders[2][name]), name
    record = json.loads((tmp_path / "best" / "pretraining.json").read_text())
    assert (record["step"], record["settings"]["mask_ratio"]) == (4, 0.75)
    last = AutoModel.from_pretrained(tmp_path / "last").state_dict()
    assert all(torch.equal(last[name], values) for name, values in probe.encoders[-1].items())
    assert AutoFeatureExtractor.from_pretrained(tmp_path / "best").clip_level == -0.15
    sounds = np.random.default_rng(0).normal(0, 0.1, (4, 16000)).astype(np.float32)
    detector = AnomalyDetector.from_pretrained(str(tmp_path / "best"), backend="knn")
    assert np.isfinite(detector.fit(sounds, sampling_rate=16000).score(sounds, sampling_rate=16000)).all()


def test_when_there_is_no_probe_then_the_last_weights_are_written(tmp_path):
    trainer = make_pretraining(tmp_path)
    trainer.train()
    last = AutoModel.from_pretrained(tmp_path / "last")
    assert last.config.embedding_layer is None and not (tmp_path / "best").exists()
    for name, values in trainer.averaged_encoder().state_dict().items():
        assert torch.equal(last.state_dict()[name], values), name


def test_when_checkpoint_lacks_the_average_then_resuming_says_so(tmp_path):
    make_pretraining(tmp_path, **SAVING).train()
    (tmp_path / "checkpoint-9" / "average.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"average\.safetensors does not exist: resume from a checkpoint of"):
        make_pretraining(tmp_path, **SAVING).train(resume_from_checkpoint=str(tmp_path / "checkpoint-9"))


def test_when_loss_is_not_finite_then_error_names_clips(tmp_path):
    trainer = make_pretraining(tmp_path)
    with torch.no_grad():
        trainer.model.predictor.linear.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match=r"the loss is nan at step 1 for .*predictor\.linear\.weight"):
        trainer.train()


def test_when_a_line_of_the_log_is_half_written_then_a_resumed_run_writes_it_again(tmp_path):
    make_pretraining(tmp_path, **SAVING).train()
    whole = lines(tmp_path)
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in whole if line["step"] <= 7)[:-20])
    make_pretraining(tmp_path, **SAVING).train(resume_from_checkpoint=str(tmp_path / "checkpoint-6"))
    assert without_times(lines(tmp_path)) == without_times(whole)
    path.write_text("{\n" + path.read_text())
    with pytest.raises(ValueError, match=r"line 1 of .*log\.jsonl is damaged .*: take it out"):
        make_pretraining(tmp_path, **SAVING).train(resume_from_checkpoint=str(tmp_path / "checkpoint-6"))
