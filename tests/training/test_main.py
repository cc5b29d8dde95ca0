"""The main job on recordings in folders: a table from them, and one line for every kind of bad input."""

import json
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from datasets import Audio, Dataset, DatasetDict
from transformers.trainer_callback import TrainerState
from transformers.trainer_utils import get_last_checkpoint

from modeling_retainmix.data import hub_table
from modeling_retainmix.encoders import BeatsConfig
from modeling_retainmix.hub.run_record import read_results
from modeling_retainmix.training import run_data
from modeling_retainmix.training.main import _finished, main
from modeling_retainmix.training.recipe import parse_arguments
from modeling_retainmix.training.run_data import load_run_data

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
    for first_seed, kind in ((100, "stationary"), (200, "non_stationary")):
        for index in range(16):
            write(root / kind / f"fan_{index}.wav", seed=first_seed + index)
    return root


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def options_of(tmp_path, cache_dir, *options):
    return [
        *("--cache_dir", str(cache_dir), "--output_dir", str(tmp_path / "out"), "--data_workers", "1"),
        *("--factory_config", json.dumps(FACTORY), "--encoder_config", json.dumps(ENCODER)),
        *("--clip_seconds", "1", "--teacher_clip_seconds", "1", "--teacher_steps", "2", "--max_steps", "2"),
        *("--teacher_batch_size", "2", "--per_device_train_batch_size", "2", "--embedding_layer", "1"),
        *("--disable_tqdm", "True", "--use_cpu", "True"),
        *map(str, options),
    ]


def run(tmp_path, cache_dir, *options):
    main(options_of(tmp_path, cache_dir, *options))


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
    with pytest.raises(ValueError, match=r"14 clips cannot be used: .* has 2 channels and channel=None"):
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
    assert data.description["datasets"] == ["plant/hall"]
    assert data.description["training_noise_classes"] == 1


@pytest.mark.slow
def test_when_references_join_the_training_then_tests_and_their_noise_do_not(tmp_path, cache_dir):
    run_args, args = parse_arguments(options_of(tmp_path, cache_dir, "--config", "mixture_with_references", "demo"))
    data = load_run_data(run_args, args)
    plain = load_run_data(*parse_arguments(options_of(tmp_path, cache_dir)))
    assert set(plain.train_machines["machine_type"]) < set(data.train_machines["machine_type"])
    assert "references of the evaluation" in data.description["training"]
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


def test_when_nothing_is_scored_then_no_machines_are_generated(tmp_path, cache_dir, recordings, noise, monkeypatch):
    monkeypatch.setattr(run_data, "build_factory", lambda *_, **__: pytest.fail("generated"))
    options = ("--train_data", recordings, "--noise", noise, "--do_eval", "False")
    data = load_run_data(*parse_arguments(options_of(tmp_path, cache_dir, *options)))
    assert data.validation == data.evaluation == []


@pytest.mark.parametrize("option", ["embedding_layer", "mixture_layer"])
def test_when_the_encoder_lacks_the_layer_then_error_comes_before_the_training(tmp_path, option):
    with pytest.raises(SystemExit, match=f"error: --{option} 3: the encoder has layers 1 to 2"):
        run(tmp_path, tmp_path / "cache", f"--{option}", "3")
    assert not (tmp_path / "cache").exists()


def test_when_the_teacher_has_another_width_then_error_comes_before_the_training(tmp_path):
    BeatsConfig(**ENCODER | {"hidden_size": 64}).save_pretrained(tmp_path / "wide")
    with pytest.raises(SystemExit, match="error: the student's hidden_size is 32 but the teacher's 64"):
        run(tmp_path, tmp_path / "cache", "--teacher", tmp_path / "wide")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("steps", "best", "expected"), [(2, "False", "last"), (2, "True", "best"), (3, "True", None)])
def test_when_all_steps_are_done_then_the_weights_are_those_that_the_training_ends_with(
    tmp_path, cache_dir, steps, best, expected
):
    state = TrainerState(global_step=2, best_model_checkpoint=str(tmp_path / "best"))
    options = ("--save_strategy", "steps", "--eval_strategy", "steps", "--save_steps", "1", "--eval_steps", "1")
    options += ("--load_best_model_at_end", best, "--max_steps", str(steps))
    _, args = parse_arguments(options_of(tmp_path, cache_dir, *options))
    assert _finished(args, str(tmp_path / "last"), state) == (expected and str(tmp_path / expected))


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
    assert get_last_checkpoint(str(tmp_path / "out")).endswith("checkpoint-4")  # the first and three that wait
    capsys.readouterr()
    run(tmp_path, cache_dir, *resumed)
    assert "'snr_db'" not in capsys.readouterr().out


def test_when_there_is_no_checkpoint_to_resume_from_then_error_names_the_folder(tmp_path, cache_dir):
    with pytest.raises(SystemExit, match=r"error: .*out holds no checkpoint"):
        run(tmp_path, cache_dir, "--model", "anything", "--resume_from_checkpoint", "True")


@pytest.mark.parametrize("option", ["--model", "--teacher"])
def test_when_folder_of_a_model_is_mistyped_then_run_ends_at_once_in_one_line(tmp_path, option):
    with pytest.raises(
        SystemExit, match=r"^error: the folder outputs/dmeo does not exist, and no model .*: check the"
    ):
        run(tmp_path, tmp_path / "cache", option, "outputs/dmeo")
    assert not (tmp_path / "cache").exists()


def test_when_disk_of_the_data_is_full_then_error_names_the_folder(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(SystemExit, match=rf"error: cannot write the data into --cache_dir {tmp_path}/cache"):
            run(tmp_path, tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_when_the_users_own_file_cannot_be_read_then_error_names_it_and_not_the_cache(
    tmp_path, cache_dir, monkeypatch
):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied", "mine/metadata.csv")

    monkeypatch.setattr("modeling_retainmix.training.main.load_run_data", refuse)
    with pytest.raises(SystemExit, match=r"^error: \[Errno 13\] Permission denied: 'mine/metadata.csv'$"):
        run(tmp_path, cache_dir)


def test_when_loss_is_nan_then_run_ends_in_one_line(tmp_path, cache_dir):
    with pytest.raises(SystemExit, match=r"error: the loss is (nan|inf).*at step \d") as stopped:
        run(tmp_path, cache_dir, "--teacher_learning_rate", "1e30", "--teacher_steps", "5", "--max_grad_norm", "0")
    assert "\n" not in str(stopped.value)


def test_when_teacher_clips_are_longer_than_training_clips_then_error_names_both(tmp_path, cache_dir):
    with pytest.raises(SystemExit, match=r"error: --teacher_clip_seconds 2 is longer.*--clip_seconds, 1"):
        run(tmp_path, cache_dir, "--teacher_clip_seconds", "2")


def test_when_validation_has_no_clips_then_error_names_the_option(tmp_path, cache_dir):
    with pytest.raises(SystemExit, match="error: --eval_strategy steps needs clips: give --validation_share"):
        run(tmp_path, cache_dir, "--eval_strategy", "steps")


def test_when_recipe_needs_a_model_then_error_says_how_to_give_one(tmp_path, cache_dir):
    with pytest.raises(SystemExit, match="error: --model is missing"):
        run(tmp_path, cache_dir, "--config", "both_0db", "--teacher_steps", "0")


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


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("--eval_data", "--eval_data and --noise"),
        ("--train_data", "--train_data and --noise"),
        ("--train_noise", "--train_noise and --train_data"),
        ("--noise", "--train_data or --eval_data"),
        ("--ground_truth", "--ground_truth belongs to --eval_data"),
    ],
)
def test_when_only_one_folder_is_given_then_both_options_are_named(tmp_path, cache_dir, recordings, option, named):
    with pytest.raises(SystemExit, match=named):
        run(tmp_path, cache_dir, option, recordings)


def test_when_recipe_does_not_exist_then_the_recipes_are_listed(tmp_path, cache_dir):
    with pytest.raises(SystemExit, match=r"error: --config absent.*demo"):
        run(tmp_path, cache_dir, "--config", "absent")


@pytest.mark.parametrize("option", ["--do_train", "--do_eval"])
def test_when_nothing_is_trained_or_scored_then_a_push_is_refused(tmp_path, cache_dir, option):
    with pytest.raises(SystemExit, match="--push_to_hub uploads what the run trains, with its scores"):
        run(tmp_path, cache_dir, "--push_to_hub", "True", option, "False")


def test_when_the_token_is_on_the_command_line_then_it_is_refused_and_not_printed(tmp_path, cache_dir):
    with pytest.raises(SystemExit, match="set HF_TOKEN") as raised:
        run(tmp_path, cache_dir, "--push_to_hub", "True", "--hub_token", "hf_secret")
    assert "hf_secret" not in str(raised.value)
