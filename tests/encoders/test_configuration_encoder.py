"""Configurations: keys that they do not know, typing errors, checkpoints of other models."""

import json

import pytest
from families import FAMILIES
from transformers import AutoConfig, Wav2Vec2Config

from modeling_retainmix.encoders import (
    BeatsConfig,
    BeatsModel,
    EatConfig,
    EatModel,
    LogMelConfig,
    configuration_encoder,
)

# What transformers and tools around it write into configurations, in this version or another.
LIBRARY_KEYS = {
    "tie_word_embeddings": True,
    "is_causal": False,
    "custom_pipelines": {"anomaly": {"impl": "pipeline.Anomaly"}},
    "transformers.js_config": {"dtype": "q8"},
    "torchscript": False,
    "tokenizer_class": None,
    "processor_class": "AnyProcessor",
    "batch_norm_eps": 1e-5,
    "use_bfloat16": False,
    "pruned_heads": {},
    "finetuning_task": "audioset",
    "task_specific_params": None,
    "_attn_implementation_autoset": True,
    "quantization_config": {"quant_method": "none"},
    "a_key_of_the_future": [1, 2],
}


@pytest.fixture(params=FAMILIES)
def family(request):
    return FAMILIES[request.param]


@pytest.fixture
def warnings(caplog):
    """Warnings of the configurations, each text once a process unless the record of them is cleared."""
    configuration_encoder.logger.warning_once.cache_clear()
    caplog.set_level("WARNING", configuration_encoder.logger.name)
    return caplog


def write(family, folder, **keys) -> None:
    family.config().save_pretrained(folder)
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, **keys}))


def test_attribute_that_a_user_adds_survives_saving_and_loading(family, tmp_path, warnings):
    config = family.config()
    config.my_field = 3
    config.save_pretrained(tmp_path / "one")
    again = AutoConfig.from_pretrained(tmp_path / "one")
    again.save_pretrained(tmp_path / "two")
    assert family.config_class.from_pretrained(tmp_path / "two").my_field == 3
    (record,) = warnings.records
    assert "'my_field'" in record.getMessage() and "kept as an attribute" in record.getMessage()


@pytest.mark.parametrize("key", LIBRARY_KEYS)
def test_keys_of_libraries_are_kept_from_a_file_and_taken_by_the_constructor(family, tmp_path, key):
    write(family, tmp_path, **{key: LIBRARY_KEYS[key]})
    assert getattr(family.config_class.from_pretrained(tmp_path), key) == LIBRARY_KEYS[key]
    assert getattr(family.config(**{key: LIBRARY_KEYS[key]}), key) == LIBRARY_KEYS[key]


def test_typing_error_is_refused_by_the_constructor_and_named_when_read(family, tmp_path, warnings):
    with pytest.raises(ValueError, match=r"'hiden_size' of \w+Config: use 'hidden_size'"):
        family.config(hiden_size=3)
    write(family, tmp_path, hiden_size=3)
    config = family.config_class.from_pretrained(tmp_path)
    assert (config.hiden_size, config.hidden_size) == (3, 32)
    (record,) = warnings.records
    assert "'hiden_size'" in record.getMessage() and "for 'hidden_size' the value stays 32" in record.getMessage()


@pytest.mark.parametrize("key", ["num_mel_patches", "num_prefix_tokens", "check", "to_dict"])
def test_key_that_is_the_name_of_a_property_or_method_is_ignored(family, tmp_path, warnings, key):
    write(family, tmp_path, **{key: 77})
    config = family.config_class.from_pretrained(tmp_path)
    assert config.num_mel_patches == 8
    config.check()
    assert key not in config.to_dict()
    assert f"'{key}'" in warnings.text and "ignored" in warnings.text


def test_override_in_loading_changes_also_an_added_attribute(family, tmp_path):
    write(family, tmp_path, my_field=3)
    config = family.config_class.from_pretrained(tmp_path, my_field=4, num_hidden_layers=2)
    assert (config.my_field, config.num_hidden_layers) == (4, 2)


@pytest.mark.parametrize(("reader", "other"), [(BeatsModel, EatConfig), (EatModel, BeatsConfig)])
def test_checkpoint_of_another_model_is_refused_by_name(tmp_path, reader, other):
    for config in (other(), Wav2Vec2Config()):
        config.save_pretrained(tmp_path / config.model_type)
        message = f"{config.model_type} holds a model of type '{config.model_type}', {reader.config_class.__name__}"
        with pytest.raises(ValueError, match=message):
            reader.from_pretrained(tmp_path / config.model_type)
        with pytest.raises(ValueError, match=message):
            reader.config_class.from_pretrained(tmp_path / config.model_type)


def test_new_models_use_the_padding_rule_by_which_no_clip_depends_on_others():
    assert BeatsConfig().padding_rule == "conv"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("hidden_size", [0, -4, 10**6]),
        ("num_attention_heads", [0, 10**6]),
        ("intermediate_size", [0, 10**9]),
        ("patch_size", [0, -16, 10**6]),
        ("num_mel_bins", [0, 10**9]),
        ("max_time_patches", [0, 10**12]),
        ("num_conv_pos_embeddings", [0, 10**9]),
        ("num_buckets", [0, 10**9]),
    ],
)
def test_when_a_size_is_out_of_bounds_then_error_names_it_before_anything_is_built(family, field, values):
    for value in values:
        if hasattr(family.config(), field):
            with pytest.raises(ValueError, match=rf"{field} is {value}, use 1 to \d+"):
                family.config(**{field: value})


def test_when_there_are_too_many_layers_or_an_unknown_activation_then_error_names_them(family):
    with pytest.raises(ValueError, match="the model has 1000000 layers, use 1 to 1000"):
        family.config(num_hidden_layers=2, full_num_hidden_layers=10**6)
    with pytest.raises(ValueError, match=r"hidden_act is 'os\.system': use a name"):
        family.config(hidden_act="os.system")


def test_when_a_size_of_the_statistics_is_out_of_bounds_then_error_names_it():
    for fields in ({"patch_size": 0, "hidden_size": 0}, {"num_mel_bins": 10**9}):
        with pytest.raises(ValueError, match=r"is (0|1000000000), use 1 to"):
            LogMelConfig(**fields)
