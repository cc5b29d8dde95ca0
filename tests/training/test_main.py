"""The main job on recordings in folders: a table from them, and one line for every kind of bad input."""

import json

import numpy as np
import pytest
import soundfile

from modeling_retainmix.hub.run_record import read_results
from modeling_retainmix.training.main import main

RATE = 16000
FACTORY = {
    "instances_per_type": 2,
    "clips_per_instance": 1,
    "clips_per_noise_class": 2,
    "source_references": 3,
    "target_references": 1,
    "tests_per_cell": 1,
    "segments_per_kind": 8,
}
ENCODER = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "patch_embed_size": 16,
}


def write(path, seconds=1.2, rate=RATE, level=0.1, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, level * np.random.default_rng(seed).standard_normal(int(seconds * rate)), rate)


@pytest.fixture
def recordings(tmp_path):
    root = tmp_path / "plant"
    names = [f"train/section_00_{d}_train_normal_{n:04d}_x" for d in ("source", "target") for n in range(3)]
    names += [
        f"test/section_00_{d}_test_{label}_{n:04d}_x"
        for d in ("source", "target")
        for label in ("normal", "anomaly")
        for n in range(2)
    ]
    for index, name in enumerate(names):
        write(root / "press" / f"{name}.wav", seed=index)
    return root


@pytest.fixture
def noise(tmp_path):
    root = tmp_path / "hall"
    for kind in ("stationary", "non_stationary"):
        for index in range(16):
            write(root / kind / f"fan_{index}.wav", seed=100 + index)
    return root


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def run(tmp_path, cache_dir, *options):
    main(
        [
            *("--cache_dir", str(cache_dir), "--output_dir", str(tmp_path / "out"), "--data_workers", "1"),
            *("--factory_config", json.dumps(FACTORY), "--encoder_config", json.dumps(ENCODER)),
            *("--clip_seconds", "1", "--teacher_clip_seconds", "1", "--teacher_steps", "2", "--max_steps", "2"),
            *("--teacher_batch_size", "2", "--per_device_train_batch_size", "2", "--embedding_layer", "1"),
            *("--disable_tqdm", "True", "--use_cpu", "True"),
            *map(str, options),
        ]
    )


@pytest.mark.slow
def test_when_folders_are_given_then_they_are_scored_with_the_trained_model(
    tmp_path, cache_dir, recordings, noise, capsys
):
    run(tmp_path, cache_dir, "--eval_data", recordings, "--noise", noise)
    results = read_results(tmp_path / "out" / "results.json")
    assert list(results["protocol"]["clips"]) == ["press"]
    assert results["protocol"]["noise_segments_reused"] == 0
    assert [row["name"] for row in results["rows"]][3] == "RetainMix"
    assert "3 source references, 3 target references" in capsys.readouterr().out

    run(
        tmp_path,
        cache_dir,
        *("--model", tmp_path / "out", "--teacher", tmp_path / "out-teacher", "--do_train", "False"),
        *("--eval_data", recordings, "--noise", noise, "--output_dir", tmp_path / "again"),
    )
    again = read_results(tmp_path / "again" / "results.json")
    assert again["rows"] == results["rows"]


def broken_missing_folder(recordings, noise):
    return recordings / "absent", noise, "absent"


def broken_empty_folder(recordings, noise):
    (recordings.parent / "empty").mkdir()
    return recordings.parent / "empty", noise, "empty"


def broken_undecodable_file(recordings, noise):
    path = recordings / "press" / "train" / "section_00_source_train_normal_0000_x.wav"
    path.write_bytes(b"this is no sound")
    return recordings, noise, path.name


def broken_silent_clip(recordings, noise):
    path = recordings / "press" / "test" / "section_00_source_test_normal_0000_x.wav"
    write(path, level=0.0)
    return recordings, noise, path.name


def broken_machine_without_references(recordings, noise):
    for path in (recordings / "press" / "train").iterdir():
        path.unlink()
    return recordings, noise, "train"


def broken_name(recordings, noise):
    path = recordings / "press" / "train" / "recording 7.wav"
    write(path)
    return recordings, noise, path.name


def broken_noise_pool(recordings, noise):
    for path in sorted((noise / "stationary").iterdir())[3:]:
        path.unlink()
    return recordings, noise, "allow_noise_reuse"


@pytest.mark.parametrize(
    "breakage",
    [
        broken_missing_folder,
        broken_empty_folder,
        broken_undecodable_file,
        broken_silent_clip,
        broken_machine_without_references,
        broken_name,
        broken_noise_pool,
    ],
)
def test_when_input_is_bad_then_run_ends_in_one_line_that_names_it(breakage, tmp_path, cache_dir, recordings, noise):
    eval_data, noise_folder, named = breakage(recordings, noise)
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, cache_dir, "--eval_data", eval_data, "--noise", noise_folder)
    message = str(stopped.value)
    assert message.startswith("error: ")
    assert named in message
    assert "\n" not in message


def test_when_only_one_folder_is_given_then_both_options_are_named(tmp_path, cache_dir, recordings):
    with pytest.raises(SystemExit, match=r"--eval_data and --noise"):
        run(tmp_path, cache_dir, "--eval_data", recordings)


def test_when_recipe_does_not_exist_then_the_recipes_are_listed(tmp_path, cache_dir):
    with pytest.raises(SystemExit, match=r"error: --config absent.*demo"):
        run(tmp_path, cache_dir, "--config", "absent")
