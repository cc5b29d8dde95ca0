"""The options that both trainings share: what they refuse of the Trainer's, and what a step is said to compute."""

import pytest

from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.pretraining_arguments import PretrainingArguments

BOTH = pytest.mark.parametrize("make", [RetainMixTrainingArguments, PretrainingArguments])


@BOTH
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"remove_unused_columns": True}, "remove_unused_columns must stay off"),
        ({"logging_nan_inf_filter": True}, "logging_nan_inf_filter must stay off"),
        ({"max_steps": -1}, "max_steps must be at least 1, got -1: epochs are not counted here"),
        ({"num_train_epochs": 1}, "num_train_epochs is 1, but epochs are not counted here: give max_steps"),
        ({"fsdp": True}, "FSDP and DeepSpeed do not fit"),
        ({"deepspeed": "ds.json"}, "FSDP and DeepSpeed do not fit"),
    ],
)
def test_when_an_option_of_the_trainer_is_not_taken_then_error_names_it(make, options, named, tmp_path):
    with pytest.raises(ValueError, match=named):
        make(output_dir=str(tmp_path), **options)


@BOTH
@pytest.mark.parametrize("name", ["ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"])
def test_when_the_launcher_shards_then_error_names_its_options(make, name, tmp_path, monkeypatch):
    monkeypatch.setenv(name, "true")
    with pytest.raises(ValueError, match="without --use_fsdp, --use_deepspeed or a configuration of accelerate"):
        make(output_dir=str(tmp_path))


@BOTH
@pytest.mark.parametrize(
    ("options", "of_launcher", "precision"),
    [
        ({}, None, "float32"),
        ({"bf16": True}, None, "bfloat16"),
        ({}, "bf16", "bfloat16"),
        ({"bf16": True}, "no", "bfloat16"),
    ],
)
def test_settings_say_how_many_clips_a_step_has_and_how_they_are_computed(
    make, options, of_launcher, precision, tmp_path, monkeypatch
):
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
    if of_launcher is not None:
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", of_launcher)
    options = options | {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 3, "use_cpu": True}
    settings = make(output_dir=str(tmp_path), **options).method_settings()
    assert settings["clips_per_step"] == 12 and settings["precision"] == precision
