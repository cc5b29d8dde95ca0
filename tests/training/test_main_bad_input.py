"""The main job given bad input: one line for every kind, before anything is computed for nothing."""

import resource

import pytest
from tiny_run import run, write


def test_when_there_is_no_such_checkpoint_to_resume_from_then_error_names_the_folder(tmp_path, cache_dir):
    with pytest.raises(SystemExit, match=r"error: --resume_from_checkpoint absent: it has no trainer_state"):
        run(tmp_path, cache_dir, "--model", "anything", "--resume_from_checkpoint", "absent")


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
