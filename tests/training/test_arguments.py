"""The method's options: the paper's defaults and what is refused."""

from dataclasses import fields

import pytest

from modeling_retainmix.training.arguments import MethodArguments, RetainMixTrainingArguments


def test_defaults_are_those_of_the_paper(tmp_path):
    args = RetainMixTrainingArguments(output_dir=str(tmp_path))
    assert (args.alpha, args.beta, args.lam, args.snr_db) == (1.0, 1.0, 0.5, [0.0])
    assert (args.learning_rate, args.weight_decay, args.warmup_steps, args.max_steps) == (1e-4, 1e-3, 200, 20_000)
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps == 128
    assert args.lr_scheduler_type == "cosine"
    assert not any((args.lam_from_snr, args.separate_heads, args.teacher_layers, args.pooled_weight))
    assert args.faulty_share == args.foreign_share == 0


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"alpha": 0.0, "beta": 0.0}, "alpha=0.0"),
        ({"alpha": -1.0}, "alpha=-1.0"),
        ({"lam": 1.5}, "1.5"),
        ({"snr_db": [5.0, -5.0]}, "5.0, -5.0"),
        ({"snr_db": []}, "snr_db"),
        ({"clip_seconds": 0.0}, "clip_seconds"),
        ({"teacher_layers": []}, r"teacher_layers .*got \[\]"),
        ({"teacher_layers": [2, 2]}, r"each once, got \[2, 2\]"),
        ({"teacher_layers": [0, 1]}, r"from 1 on, .*got \[0, 1\]"),
        ({"pooled_weight": -1.0}, "pooled_weight"),
        ({"beta": 0.0, "lam_from_snr": True, "pooled_weight": 1.0}, "lam_from_snr, pooled_weight belong to the mix"),
        ({"beta": 0.0, "teacher_layers": [1]}, "teacher_layers belong"),
        ({"beta": 0.0, "separate_heads": True}, "separate_heads belong"),
        ({"mixup": "double", "beta": 0.0}, "double"),
        ({"mixup": "linear"}, "beta=1.0"),
        ({"mixup": "snr", "beta": 0.0, "per_device_train_batch_size": 3}, "beta=0.0 and 3"),
        ({"mixup_alpha": 0.0}, "mixup_alpha"),
        ({"early_stopping_patience": 2}, "eval_strategy"),
        ({"early_stopping_patience": 2, "eval_strategy": "steps", "eval_steps": 1}, "metric_for_best_model"),
        ({"push_to_hub": True, "hub_strategy": "every_save"}, "hub_strategy"),
    ],
)
def test_when_option_makes_no_sense_then_error_names_it(options, named, tmp_path):
    with pytest.raises(ValueError, match=named):
        RetainMixTrainingArguments(output_dir=str(tmp_path), **options)


def test_when_the_output_folder_is_the_only_argument_then_it_needs_no_name(tmp_path):
    assert RetainMixTrainingArguments(str(tmp_path)).output_dir == str(tmp_path)


def test_when_an_option_is_added_to_the_method_then_it_is_recorded():
    assert tuple(field.name for field in fields(MethodArguments)) == RetainMixTrainingArguments.METHOD_FIELDS
    assert {"alpha", "snr_db", "embedding_layer", "clip_seconds"} <= set(RetainMixTrainingArguments.METHOD_FIELDS)
    assert "early_stopping_patience" not in RetainMixTrainingArguments.METHOD_FIELDS


def test_when_settings_are_recorded_then_every_option_of_the_method_is_there(tmp_path):
    settings = RetainMixTrainingArguments(output_dir=str(tmp_path), snr_db=[-5.0, 5.0]).method_settings()
    assert tuple(settings) == RetainMixTrainingArguments.SETTINGS
    assert settings["snr_db"] == [-5.0, 5.0]
    assert settings["clips_per_step"] == 128
    assert settings["lr_scheduler_type"] == "cosine"
