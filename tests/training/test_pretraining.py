"""Pre-training from sounds to encoders: factory, folders, a second iteration, going on, and what is refused."""

import json

import numpy as np
import pytest
import soundfile
import torch
from tiny_pretraining import ENCODER
from transformers import AutoModel

from modeling_retainmix.training.pretraining import load_probe, load_sounds, main
from modeling_retainmix.training.pretraining_arguments import PretrainingArguments, PretrainingData

FACTORY = {
    "instances_per_type": 1,
    "clips_per_instance": 1,
    "clips_per_noise_class": 2,
    "source_references": 8,
    "target_references": 4,
    "tests_per_cell": 2,
    "segments_per_kind": 20,
}


def options(tmp_path, cache_dir, *more):
    return [
        *("--output_dir", str(tmp_path / "out"), "--cache_dir", str(cache_dir), "--data_workers", "1"),
        *("--factory_config", json.dumps(FACTORY), "--encoder_config", json.dumps(ENCODER)),
        *("--clip_seconds", "1", "--num_codes", "16", "--code_size", "8", "--predictor_size", "16"),
        *("--calibration_clips", "8", "--per_device_train_batch_size", "4", "--max_steps", "2", "--warmup_steps", "0"),
        *("--logging_steps", "1", "--save_steps", "1", "--probe_steps", "0", "--report_to", "none"),
        *("--disable_tqdm", "True", "--use_cpu", "True", "--cpu_threads", "1"),
        *map(str, more),
    ]


def write(path, seed, seconds=1.3):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).normal(0, 0.1, round(16000 * seconds)), 16000)


def log(tmp_path):
    return [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def args(tmp_path):
    return PretrainingArguments(output_dir=str(tmp_path), clip_seconds=1.0, use_cpu=True, report_to="none")


@pytest.mark.slow
def test_when_run_on_the_factory_then_probe_log_and_encoders_are_there_and_a_second_run_goes_on(tmp_path, cache_dir):
    arguments = options(tmp_path, cache_dir, "--probe_steps", 2, "--probe_machines", 2, "--bf16", True)
    main(arguments)
    scores = [line for line in log(tmp_path) if "probe_score" in line]
    assert [line["step"] for line in scores] == [0, 2]
    assert all(
        0 < line[f"probe_{b}_layer_{k}"] < 100 for line in scores for b in ("knn", "mahalanobis") for k in range(3)
    )
    before = log(tmp_path)
    main([*arguments, "--resume_from_checkpoint", "True"])  # nothing is left to do
    assert log(tmp_path) == before
    main([*arguments, "--resume_from_checkpoint", "True", "--max_steps", "4"])
    assert [line["step"] for line in log(tmp_path) if "loss" in line] == [1, 2, 3, 4]
    for name in ("best", "last"):
        encoder = AutoModel.from_pretrained(tmp_path / "out" / name)
        assert encoder.config.hidden_size == 32 and encoder.dtype == torch.float32
        card = (tmp_path / "out" / name / "README.md").read_text()
        assert "| factory_version | 4 |" in card and f'from_pretrained("{tmp_path / "out" / name}")' in card


def test_when_resuming_without_a_checkpoint_then_the_run_starts(tmp_path, cache_dir):
    write(tmp_path / "sounds" / "a.wav", 1)
    write(tmp_path / "sounds" / "b.wav", 2)
    main(options(tmp_path, cache_dir, "--train_data", tmp_path / "sounds", "--resume_from_checkpoint", "True"))
    assert (tmp_path / "out" / "checkpoint-2").is_dir()
    assert not (tmp_path / "out" / "best").exists() and (tmp_path / "out" / "last" / "model.safetensors").is_file()


def test_when_the_state_of_a_checkpoint_is_damaged_then_resuming_names_its_file(tmp_path, cache_dir):
    (tmp_path / "out" / "checkpoint-1").mkdir(parents=True)
    (tmp_path / "out" / "checkpoint-1" / "trainer_state.json").write_text('{"global')
    with pytest.raises(ValueError, match=r"checkpoint-1/trainer_state\.json is damaged .*: resume from another"):
        main(options(tmp_path, cache_dir, "--resume_from_checkpoint", "True"))


def test_when_a_trained_encoder_is_the_tokenizer_then_the_second_iteration_learns_its_codes(tmp_path, cache_dir):
    for seed in range(3):
        write(tmp_path / "sounds" / f"{seed}.wav", seed)
    sounds = ("--train_data", tmp_path / "sounds")
    main(options(tmp_path, cache_dir, *sounds))
    second = tmp_path / "second"
    teacher = ("--tokenizer_model", tmp_path / "out" / "last", "--tokenizer_layer", 1)
    main(options(second, cache_dir, *sounds, *teacher))
    losses = [[line["loss"] for line in log(folder) if "loss" in line] for folder in (tmp_path, second)]
    assert len(losses[1]) == 2 and losses[1] != losses[0]
    record = json.loads((second / "out" / "last" / "pretraining.json").read_text())
    assert record["settings"]["tokenizer_layer"] == 1
    assert record["data"] == {
        "training": "sounds with noise of the same",
        "training_machine_clips": 3,
        "training_machine_types": 3,
        "training_noise_clips": 3,
        "training_noise_classes": 3,
    }


def test_when_folder_has_no_layout_then_every_file_is_read_and_noise_is_made_of_them(
    tmp_path, cache_dir, args, capsys
):
    for seed in range(3):
        write(tmp_path / "sounds" / "deep" / f"engine_{seed}.wav", seed)
    pairs = load_sounds(PretrainingData(cache_dir=str(cache_dir), train_data=[str(tmp_path / "sounds")]), args)
    assert (len(pairs.machines), len(pairs.noise)) == (3, 3)  # 3.9 s give three segments of 1 s
    assert "every sound file is read" in capsys.readouterr().out


def test_when_layout_is_known_then_references_alone_are_read(recordings, noise, cache_dir, args):
    data = PretrainingData(cache_dir=str(cache_dir), train_data=[str(recordings)], train_noise=[str(noise)])
    pairs = load_sounds(data, args)
    assert len(pairs.machines) == 6 and set(pairs.machines["machine_type"]) == {"press"}
    assert len(pairs.noise) == 38  # 32 clips of 1.2 s, with cross-fades


def test_when_metadata_is_broken_then_it_is_not_passed_over(tmp_path, cache_dir, args):
    write(tmp_path / "sounds" / "a.wav", 1)
    (tmp_path / "sounds" / "metadata.csv").write_text("name,split\na.wav,train\n")
    with pytest.raises(ValueError, match=r"metadata\.csv"):
        load_sounds(PretrainingData(cache_dir=str(cache_dir), train_data=[str(tmp_path / "sounds")]), args)


@pytest.mark.slow
def test_probe_has_as_many_validation_machines_as_asked_for_and_training_has_none_of_them(cache_dir, args):
    data = PretrainingData(cache_dir=str(cache_dir), factory_config=FACTORY, data_workers=1, probe_machines=3)
    probed = {machine.machine_type for machine in load_probe(data, args)}
    assert probed == {"cooling_fan", "label_printer", "reduction_gear"}
    pairs = load_sounds(data, args)
    assert not probed & set(pairs.machines["machine_type"])
    factories = {machine.clean["factory"][int(machine.clean_rows[0])] for machine in load_probe(data, args)}
    assert not factories & set(pairs.noise["factory"])


def test_when_own_recordings_are_probed_then_they_are_the_benchmark(recordings, noise, cache_dir, args):
    data = PretrainingData(cache_dir=str(cache_dir), eval_data=str(recordings), noise=str(noise))
    (machine,) = load_probe(data, args)
    assert machine.machine_type == "press" and machine.counts()["source references"] == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train_noise": ["hall"]}, "--train_noise belongs to --train_data: give the sounds too"),
        ({"eval_data": "plant"}, "--eval_data and --noise belong together"),
        ({"probe_machines": -1}, "--probe_machines must not be negative, got -1"),
        ({"factory_config": "[1]"}, r"--factory_config must be a JSON object, got \[1\]"),
    ],
)
def test_when_data_options_contradict_then_error_names_them(values, message):
    with pytest.raises(ValueError, match=message):
        PretrainingData(**values)


def test_when_checkpoint_is_missing_then_error_names_it(tmp_path, cache_dir):
    with pytest.raises(FileNotFoundError, match=r"--resume_from_checkpoint nowhere: it has no trainer_state"):
        main(options(tmp_path, cache_dir, "--resume_from_checkpoint", "nowhere"))
