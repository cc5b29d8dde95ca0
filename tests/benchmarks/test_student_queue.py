"""The queue of students at toy size: what is scored, and that a stopped queue goes on where it was."""

import csv
import json
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from tiny_run import ENCODER, FACTORY, write

from modeling_retainmix.data.benchmark_sources import load_benchmark
from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsModel
from modeling_retainmix.training.recipe import recipe_names
from modeling_retainmix.training.trainer import RetainMixTrainer

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LAYERS = 3  # with the input of layer 1
STUDENTS = ("both_0db_two_heads-3-0", "tagging_0db-2-0")


def small_queue(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import student_queue
    import student_scores

    monkeypatch.setattr(student_scores, "NUM_DRAWS", 1)
    monkeypatch.setattr(student_scores, "REAL_SNR_DB", (0.0,))
    monkeypatch.setattr(student_scores, "load_benchmark", lambda *args: load_benchmark(*args)[:1])
    runs = [student_queue.Run("both_0db_two_heads", 3, 0), student_queue.Run("tagging_0db", 2, 0)]
    monkeypatch.setattr(student_queue, "default_runs", lambda: runs)
    return student_queue


@pytest.fixture
def queue(monkeypatch):
    return small_queue(monkeypatch)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A teacher, the size of the runs, real machines, and the factory's tables once they are made."""
    home = tmp_path_factory.mktemp("queue")
    torch.manual_seed(0)
    BeatsModel(BeatsConfig(**ENCODER)).save_pretrained(home / "teacher")
    BeatsFeatureExtractor(clip_level=-0.1).save_pretrained(home / "teacher")
    size = {
        "clip_seconds": 1.0,
        "factory_config": FACTORY | {"version": 3},  # made faster
        "embedding_layer": None,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 1,
        "save_strategy": "steps",
        "save_steps": 1,
        "logging_steps": 1,
        "disable_tqdm": True,
        "use_cpu": True,
        "cache_dir": str(home / "cache"),
        "data_workers": 1,
        "cpu_threads": 1,
    }
    (home / "size.yaml").write_text(json.dumps(size))
    kinds = [("train", "normal"), ("test", "normal"), ("test", "anomaly")]
    places = product(("source", "target"), kinds, range(2))
    for seed, (domain, (split, label), number) in enumerate(places):
        name = f"section_00_{domain}_{split}_{label}_{number:04d}_x.wav"
        write(home / "real" / "bench" / "drill" / split / name, seconds=0.5, seed=seed)
    for kind in ("stationary", "non_stationary"):
        (home / "real" / "noise" / kind).mkdir(parents=True)
        noise = 0.1 * np.random.default_rng(0).standard_normal(8000)
        soundfile.write(home / "real" / "noise" / kind / "fan_0.flac", noise, 16000)
    return home


def words(home, folder):
    size = ("--size", str(home / "size.yaml"), "--real_data", str(home / "real"))
    return ["--teacher", str(home / "teacher"), "--output_dir", str(folder), *size]


def rows(folder):
    with (folder / "scores.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def unbroken(home, tmp_path_factory):
    """The folder of a queue that ran through."""
    folder = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert small_queue(monkeypatch).main(words(home, folder)) == 0
    return folder


@pytest.mark.system
def test_when_the_queue_has_run_then_every_layer_is_scored_beside_the_frozen_systems(unbroken):
    scored = rows(unbroken)
    conditions = 3 + 2  # of the factory and of the real machine
    students = {row["run"]: [r for r in scored if r["run"] == row["run"]] for row in scored}
    assert list(students) == ["frozen-0-0", *STUDENTS]
    of_a_layer = 3 * conditions  # two backends and changes; the oracle has two backends and the factory alone
    log_mel = (2 * 2 + 1) * conditions  # the statistics have changes
    counts = [LAYERS * (of_a_layer + 2 * 3) + log_mel, *2 * [LAYERS * of_a_layer]]
    assert [len(found) for found in students.values()] == counts
    frozen = {row["system"] for row in students["frozen-0-0"]}
    assert frozen == {"frozen_teacher", "log_mel", "log_mel_statistics", "oracle"}
    assert all(0 <= float(row["score"]) <= 100 for row in scored)
    hours = {name: float(found[0]["hours"]) for name, found in students.items()}
    assert hours["frozen-0-0"] == 0 and all(0 <= hours[name] < 0.2 for name in hours)
    assert {(row["data"], row["condition"]) for row in students["tagging_0db-2-0"]} == {
        *(("factory", condition) for condition in ("low SNRs", "all SNRs", "Mismatch 0 dB")),
        *(("drill", condition) for condition in ("clean", "0 dB")),
    }


def test_when_several_processes_trained_then_the_hours_are_of_their_steps_together(queue, tmp_path):
    (tmp_path / "checkpoint-200").mkdir()
    history = [{"step": 50, "clips_per_second": 32.0}, {"step": 200, "clips_per_second": 16.0}, {"step": 200}]
    (tmp_path / "checkpoint-200" / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    arguments = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 1, "clips_per_step": 16}
    (tmp_path / "training_args.json").write_text(json.dumps(arguments))
    assert queue.training_hours(tmp_path) == pytest.approx((50 * 16 / 32 + 150 * 16 / 16) / 3600)


@pytest.mark.system
def test_when_it_is_stopped_within_a_training_and_before_a_score_then_it_goes_on_from_there(
    home, unbroken, queue, tmp_path, monkeypatch
):
    shutil.copy(unbroken / "queue.json", tmp_path)
    frozen = [line for line in (unbroken / "scores.csv").read_text().splitlines() if not line.startswith(STUDENTS)]
    (tmp_path / "scores.csv").write_text("\n".join(frozen) + "\n")
    steps, step = [], RetainMixTrainer.training_step

    def stopped(trainer, *args, **kwargs):
        steps.append((Path(trainer.args.output_dir).name, trainer.state.global_step))
        if steps[-1] == (STUDENTS[0], 2) and steps.count(steps[-1]) == 1:
            raise KeyboardInterrupt
        return step(trainer, *args, **kwargs)

    monkeypatch.setattr(RetainMixTrainer, "training_step", stopped)
    with pytest.raises(KeyboardInterrupt):
        queue.main(words(home, tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(queue.Scorer, "student", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            queue.main(words(home, tmp_path))
    assert {row["run"] for row in rows(tmp_path)} == {"frozen-0-0"}
    assert queue.main(words(home, tmp_path)) == 0
    names = [STUDENTS[0]] * 4 + [STUDENTS[1]] * 2
    assert steps == list(zip(names, [0, 1, 2, 2, 0, 1], strict=True))  # no step twice but the one that was stopped
    for name in set(names):
        ours, theirs = (load_file(folder / name / "model.safetensors") for folder in (tmp_path, unbroken))
        assert all(torch.equal(value, theirs[key]) for key, value in ours.items())
    kept = [[{**row, "hours": ""} for row in rows(folder)] for folder in (tmp_path, unbroken)]
    assert kept[0] == kept[1]
    assert queue.main(words(home, tmp_path)) == 0 and len(steps) == 6


@pytest.mark.system
@pytest.mark.parametrize("error", [SystemExit("error: loss is nan"), FileNotFoundError("no checkpoint")], ids=str)
def test_when_a_run_fails_then_it_is_named_and_the_others_follow(
    home, unbroken, queue, tmp_path, capsys, monkeypatch, error
):
    shutil.copytree(unbroken, tmp_path / "out")
    runs = [queue.Run("both_0db", 1, 0), queue.Run("mixture_0db", 1, 0)]
    monkeypatch.setattr(queue, "default_runs", lambda: runs)
    tried = []

    def train(words):
        tried.append(words[words.index("--config") + 1])
        raise error

    monkeypatch.setattr(queue, "train", train)
    assert queue.main(words(home, tmp_path / "out")) == 1
    assert f"both_0db-1-0 failed, the next one follows: {error}" in capsys.readouterr().err
    assert tried == ["both_0db", "mixture_0db"]


@pytest.mark.system
def test_when_the_folder_was_begun_with_other_choices_then_error_names_them(home, unbroken, queue, tmp_path):
    BeatsModel(BeatsConfig(**ENCODER)).save_pretrained(tmp_path / "other")
    BeatsFeatureExtractor().save_pretrained(tmp_path / "other")
    with pytest.raises(SystemExit, match=r"was begun with another choice of teacher: name another --output_dir"):
        queue.main([*words(home, unbroken), "--teacher", str(tmp_path / "other")])
    shutil.copytree(home / "real", tmp_path / "real")
    with pytest.raises(SystemExit, match=r"another choice of options and real_data: name another --output_dir"):
        queue.main([*words(home, unbroken), "--snr_db", "20", "--real_data", str(tmp_path / "real")])


def test_the_list_begins_with_both_losses_over_three_seeds_and_names_recipes(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import student_queue

    runs = student_queue.default_runs()
    assert [str(run) for run in runs[:4]] == [*(f"both_0db-20000-{seed}" for seed in range(3)), "mixture_0db-20000-0"]
    assert {run.steps for run in runs[4:]} == {2000} and {run.seed for run in runs[4:]} == {0}
    assert {"both_0db", "denoising", "tagging_pm10db", "both_0db_two_heads"} < {run.recipe for run in runs[4:]}
    assert {run.recipe for run in runs} <= set(recipe_names()) and len(runs) == len(set(runs))
    assert str(student_queue.parse_run("both_0db_pooled-20000-0")) == "both_0db_pooled-20000-0"
    for text in ("both_0db_pooled-20000", "no_recipe-1-0", "both_0db-x-0"):
        with pytest.raises(Exception, match="RECIPE-STEPS-SEED"):
            student_queue.parse_run(text)
