"""The main job: on recordings in folders, by every method, resumed and stopped early."""

import json
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from datasets import Audio, Dataset, DatasetDict
from tiny_run import RATE, options_of, run
from transformers.trainer_utils import get_last_checkpoint

from modeling_retainmix.data import benchmark_sources
from modeling_retainmix.data.layouts import hub_dataset as hub_table
from modeling_retainmix.encoders import BeatsConfig
from modeling_retainmix.evaluation.results import read_results
from modeling_retainmix.training import run_data
from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.main import launch_command
from modeling_retainmix.training.model_records import read_training_data
from modeling_retainmix.training.recipe import parse_arguments
from modeling_retainmix.training.run_data import load_run_data


@pytest.mark.slow
def test_when_folders_are_given_then_they_are_scored_with_the_trained_model(
    tmp_path, cache_dir, recordings, noise, capsys, monkeypatch
):
    options = ("--eval_data", recordings, "--noise", noise, "--lam", "0.25")
    run(tmp_path, cache_dir, *options)
    results = read_results(tmp_path / "out" / "results.json")
    words = shlex.join(options_of(tmp_path, cache_dir, *options))
    assert results["command"] == f"accelerate launch -m modeling_retainmix.training.main {words}"
    assert list(results["protocol"]["clips"]) == ["press"]
    assert results["protocol"]["noise_segments_reused"] == 0
    assert [row["name"] for row in results["rows"]][8:11] == [
        "RetainMix", "RetainMix, whitened", "RetainMix, joined"
    ]  # fmt: skip
    assert "3 source references, 3 target references" in capsys.readouterr().out

    for module in (run_data, benchmark_sources):
        monkeypatch.setattr(module, "build_factory", lambda *_, **__: pytest.fail("generated"))
    scored = [*("--model", tmp_path / "out", "--teacher", tmp_path / "out-teacher", "--do_train", "False")]
    scored += ["--eval_data", recordings, "--noise", noise, "--output_dir", tmp_path / "again"]
    run(tmp_path, cache_dir, *scored)
    again = read_results(tmp_path / "again" / "results.json")
    assert again["rows"] == results["rows"]
    assert {name: again["settings"][name] for name in RetainMixTrainingArguments.SETTINGS}.items() <= (
        results["settings"].items()
    )
    assert again["settings"]["lam"] == 0.25 and again["settings"]["precision"] == "float32"
    trained_on = read_training_data(tmp_path / "out")
    assert trained_on["training"] == "procedural factory" and trained_on.items() <= results["data"].items()
    assert trained_on.items() <= again["data"].items()
    run(tmp_path, cache_dir, *scored, "--embedding_layer", "2")
    other = read_results(tmp_path / "again" / "results.json")
    layers = [row["layer"] for row in other["rows"]]
    assert layers[5:] == [2] * 6 + [4] * 3 + [2] * 2 and other["model"]["embedding_layer"] == 2
    run(tmp_path, cache_dir, *scored, "--also_score", tmp_path / "out")  # the model itself
    once = [row for row in results["rows"] if not row["key"].startswith("another")]
    assert read_results(tmp_path / "again" / "results.json")["rows"] == once


@pytest.mark.parametrize(
    ("processes", "of_launcher", "options", "expected"),
    [
        (1, "no", {}, "accelerate launch train_accelerate.py --seed 1"),
        (2, "no", {}, "accelerate launch --multi_gpu --num_processes 2 train_accelerate.py --seed 1"),
        (1, "bf16", {}, "accelerate launch --mixed_precision bf16 train_accelerate.py --seed 1"),
        (1, "bf16", {"bf16": True}, "accelerate launch train_accelerate.py --seed 1"),  # it stands among the words
    ],
)
def test_the_recorded_command_tells_the_launcher_what_it_was_told(
    tmp_path, monkeypatch, processes, of_launcher, options, expected
):
    monkeypatch.setattr(sys, "argv", ["/elsewhere/train_accelerate.py", "--seed", "1"])
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", of_launcher)
    monkeypatch.setattr(RetainMixTrainingArguments, "world_size", processes)
    args = RetainMixTrainingArguments(output_dir=str(tmp_path), use_cpu=True, **options)
    assert launch_command(args, None) == expected


@pytest.mark.slow
def test_when_the_run_starts_from_an_original_checkpoint_then_its_name_stays_in_the_record(
    tmp_path, cache_dir, recordings, noise
):
    original = Path(__file__).parents[1] / "golden" / "beats" / "beats_pretrain.pt"
    run(tmp_path, cache_dir, "--model", original, "--eval_data", recordings, "--noise", noise)
    model = read_results(tmp_path / "out" / "results.json")["model"]
    assert model["base_model"] == str(original)
    assert BeatsConfig.from_pretrained(tmp_path / "out").hidden_size == 48


@pytest.mark.slow
def test_when_own_recordings_are_given_then_the_model_is_trained_on_them(
    tmp_path, cache_dir, recordings, noise, capsys
):
    (recordings / "press" / "train" / "section_00_source_train_normal_0000_x.wav").write_bytes(b"this is no sound")
    options = ("--train_data", recordings, "--noise", noise, "--do_eval", "False", "--config", "both_0db", "demo")
    run(tmp_path, cache_dir, *options, "--channel", "0", "--validation_share", "0.2", "--eval_strategy", "epoch")
    out = capsys.readouterr().out
    assert f"{recordings}: 6 clips, 1 dropped (1 undecodable): " in out
    assert "32 clips, none dropped" in out
    assert "eval_macro_average_precision" in out
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert set(config["id2label"].values()) == {"press/x", "noise/fan"}
    assert (tmp_path / "out" / "training_args.json").is_file()


@pytest.mark.slow
def test_when_tests_are_anonymous_and_have_two_channels_then_ground_truth_and_channel_make_a_benchmark(
    tmp_path, cache_dir, recordings, noise
):
    truth = {"data": "", "domain": ""}
    for index, path in enumerate(sorted((recordings / "press" / "test").iterdir())):
        name = f"section_00_{index:04d}.wav"
        truth["data"] += f"{name},{int('_anomaly_' in path.name)}\n"
        truth["domain"] += f"{name},{int('_target_' in path.name)}\n"
        path.rename(path.with_name(name))
    for kind, lines in truth.items():
        file = tmp_path / "truth" / f"ground_truth_{kind}" / "ground_truth_press_section_00_test.csv"
        file.parent.mkdir(parents=True)
        file.write_text(lines)
    far = {}
    for path in sorted(recordings.rglob("*.wav")):
        near, _ = soundfile.read(path, dtype="int16")
        far[path.name] = near // 2
        soundfile.write(path, np.stack([near, far[path.name]], axis=1), RATE)
    options = ("--eval_data", recordings, "--noise", noise, "--ground_truth", tmp_path / "truth")
    (machine,) = load_run_data(*parse_arguments(options_of(tmp_path, cache_dir, *options, "--channel", 1))).evaluation
    assert machine.counts() == {
        "source references": 3,
        "target references": 3,
        "normal tests": 4,
        "anomalous tests": 4,
    }
    for row in machine.clean:
        assert row["audio"] == far[Path(row["path"]).name][: len(row["audio"])].tolist()
    with pytest.raises(ValueError, match=r"14 clips cannot be used: .* has 2 channels: choose"):
        load_run_data(*parse_arguments(options_of(tmp_path, cache_dir, *options)))


@pytest.mark.slow
def test_when_noise_is_a_data_set_on_the_hub_then_the_record_names_it(
    tmp_path, cache_dir, recordings, noise, monkeypatch
):
    paths = sorted(map(str, noise.rglob("*.wav")))
    table = Dataset.from_dict({"sound": paths, "label": ["hall"] * len(paths)})
    table = table.cast_column("sound", Audio(decode=False))
    monkeypatch.setattr(hub_table, "load_dataset", lambda name: DatasetDict(train=table))
    options = ("--train_data", recordings, "--train_noise", "plant/hall")
    data = load_run_data(*parse_arguments(options_of(tmp_path, cache_dir, *options)))
    assert data.training["datasets"] == ["plant/hall"]
    assert data.training["training_noise_classes"] == 1


@pytest.mark.slow
def test_when_references_join_the_training_then_tests_and_their_noise_do_not(tmp_path, cache_dir):
    run_args, args = parse_arguments(options_of(tmp_path, cache_dir, "--config", "mixture_with_references", "demo"))
    data = load_run_data(run_args, args)
    plain = load_run_data(*parse_arguments(options_of(tmp_path, cache_dir)))
    assert set(plain.train_machines["machine_type"]) < set(data.train_machines["machine_type"])
    assert "references of the evaluation" in data.training["training"]
    added = {tuple(clip) for clip in data.train_machines["audio"][len(plain.train_machines) :]}
    added_noise = {tuple(clip) for clip in data.train_noise["audio"][len(plain.train_noise) :]}
    assert added_noise
    on_tests = set()
    for machine in data.evaluation:
        clips = [tuple(clip) for clip in machine.clean.select(machine.clean_rows)["audio"]]
        assert [clip in added for clip in clips] == machine.is_reference.tolist()
        for rows in machine.noise_rows.values():
            on_tests |= {tuple(clip) for clip in machine.noise.select(rows[~machine.is_reference])["audio"]}
    assert not added_noise & on_tests


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["denoising_linear_mixup", "denoising_snr_mixup", "tagging_pm5db", "mixture_0db"])
def test_when_recipe_of_a_method_runs_at_the_size_of_the_demo_then_it_trains(tmp_path, cache_dir, recipe):
    run(tmp_path, cache_dir, "--config", recipe, "demo", "--do_eval", "False")
    labels = json.loads((tmp_path / "out" / "config.json").read_text())["id2label"].values()
    assert any(label.startswith("noise/") for label in labels) != recipe.startswith("denoising")


@pytest.mark.slow
def test_when_run_is_resumed_then_it_goes_on_from_its_teacher_and_its_newest_checkpoint(tmp_path, cache_dir, capsys):
    options = ("--do_eval", "False", "--save_strategy", "steps", "--save_steps", "1", "--logging_steps", "1")
    run(tmp_path, cache_dir, *options)
    weights = (tmp_path / "out" / "model.safetensors").read_bytes()
    (tmp_path / "out" / "model.safetensors").unlink()
    shutil.rmtree(tmp_path / "out" / "checkpoint-2")
    teacher = (tmp_path / "out-teacher" / "model.safetensors").stat()
    capsys.readouterr()
    run(tmp_path, cache_dir, *options, "--resume_from_checkpoint", "True")
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == weights
    assert (tmp_path / "out-teacher" / "model.safetensors").stat() == teacher
    assert capsys.readouterr().out.count("'snr_db'") == 1  # the second step alone
    (tmp_path / "out" / "model.safetensors").unlink()
    run(tmp_path, cache_dir, *options, "--resume_from_checkpoint", "True")
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == weights
    assert "'snr_db'" not in capsys.readouterr().out  # every step was done


@pytest.mark.slow
def test_when_the_pool_holds_faulty_and_foreign_sounds_then_the_record_counts_them_and_scored_machines_stay(
    tmp_path, cache_dir
):
    shares = ("--faulty_share", "0.3", "--foreign_share", "0.2", "--config", "demo")
    plain, mixed = (load_run_data(*parse_arguments(options_of(tmp_path, cache_dir, *more))) for more in ((), shares))
    healthy = len(plain.train_machines)
    assert mixed.train_machines["audio"][:healthy] == plain.train_machines["audio"][:]
    added = len(mixed.train_machines) - healthy
    assert mixed.training["training_faulty_clips"] + mixed.training["training_foreign_clips"] == added > 0
    assert "faulty machines and sounds unlike any machine" in mixed.training["training"]
    assert "training_faulty_clips" not in plain.training
    assert mixed.description == plain.description
    assert plain.training["training_factory_hash"] == plain.description["factory_hash"]
    assert mixed.training["training_factory_hash"] != mixed.description["factory_hash"]
    names = [[machine.fingerprint for machine in data.evaluation] for data in (plain, mixed)]
    assert names[0] == names[1]


def test_when_nothing_is_scored_then_no_machines_are_generated(tmp_path, cache_dir, recordings, noise, monkeypatch):
    monkeypatch.setattr(run_data, "build_factory", lambda *_, **__: pytest.fail("generated"))
    options = ("--train_data", recordings, "--noise", noise, "--do_eval", "False")
    data = load_run_data(*parse_arguments(options_of(tmp_path, cache_dir, *options)))
    assert data.validation == data.evaluation == []


@pytest.mark.slow
def test_when_the_best_layer_of_own_recordings_is_asked_for_then_validation_machines_alone_are_generated(
    tmp_path, cache_dir, recordings, noise
):
    options = ("--eval_data", recordings, "--noise", noise, "--model", "anything", "--do_train", "False")
    arguments = options_of(tmp_path, tmp_path / "own cache", *options, "--best_layer", "True")
    data = load_run_data(*parse_arguments(arguments))
    assert data.train_machines is data.train_noise is None
    assert [machine.machine_type for machine in data.evaluation] == ["press"] and len(data.validation) == 6
    (built,) = (folder.name for folder in (tmp_path / "own cache").iterdir() if folder.name != "decoded")
    assert built.endswith("-validation")


STOPPING = {
    "--validation_share": 0.5,
    "--eval_strategy": "steps",
    "--eval_steps": 1,
    "--save_strategy": "steps",
    "--save_steps": 1,
    "--load_best_model_at_end": True,
    "--early_stopping_patience": 3,
    "--learning_rate": 0,  # no evaluation is better than the first
    "--do_eval": False,
}


@pytest.mark.slow
def test_when_resumed_then_early_stopping_counts_on_and_a_stopped_run_stays_stopped(
    tmp_path, cache_dir, recordings, noise, capsys
):
    options = [*(part for option in STOPPING.items() for part in option), "--logging_steps", "1"]
    options += ["--train_data", recordings, "--noise", noise]
    run(tmp_path, cache_dir, *options, "--max_steps", "3")
    resumed = [*options, "--max_steps", "9", "--resume_from_checkpoint", "True"]
    run(tmp_path, cache_dir, *resumed)
    assert get_last_checkpoint(str(tmp_path / "out")).endswith("checkpoint-4")  # the first, then three not better
    capsys.readouterr()
    run(tmp_path, cache_dir, *resumed)
    assert "'snr_db'" not in capsys.readouterr().out
