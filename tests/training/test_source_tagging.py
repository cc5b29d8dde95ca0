"""The encoder that a run starts from: taken from the checkout where it is the one that is asked for."""

import pytest
from transformers import AutoModel

from modeling_retainmix.encoders import BeatsConfig
from modeling_retainmix.training import source_tagging
from modeling_retainmix.training.recipe import load_recipe, parse_arguments
from modeling_retainmix.training.run_arguments import RunArguments
from modeling_retainmix.training.source_tagging import TINY_TEACHER, starting_encoder

OPTIONS = {"hidden_size": 32, "num_hidden_layers": 2}


@pytest.fixture
def held(tmp_path, monkeypatch):
    BeatsConfig(**OPTIONS, num_attention_heads=2, intermediate_size=64).save_pretrained(tmp_path / "held")
    monkeypatch.setattr(source_tagging, "TINY_TEACHER", tmp_path / "held")
    return str(tmp_path / "held")


def test_when_checkout_holds_the_encoder_of_the_recipe_then_it_is_taken(held):
    assert starting_encoder(RunArguments(encoder_config=OPTIONS)) == held


@pytest.mark.parametrize("options", [OPTIONS | {"hidden_size": 64}, {}])
def test_when_another_encoder_or_none_is_asked_for_then_it_is_left(held, options):
    assert starting_encoder(RunArguments(encoder_config=options)) is None


def test_when_a_model_is_given_or_the_encoder_is_to_be_trained_then_the_checkout_is_left(held):
    assert starting_encoder(RunArguments(encoder_config=OPTIONS, model="acme/hum")) == "acme/hum"
    assert starting_encoder(RunArguments(encoder_config=OPTIONS, train_teacher=True)) is None


def test_when_there_is_no_checkout_then_there_is_no_encoder(tmp_path, monkeypatch):
    monkeypatch.setattr(source_tagging, "TINY_TEACHER", tmp_path / "absent")
    assert starting_encoder(RunArguments(encoder_config=OPTIONS)) is None


def test_the_demo_starts_from_the_encoder_of_the_checkout():
    run_args, args = parse_arguments([])
    assert starting_encoder(run_args) == str(TINY_TEACHER)
    assert run_args.encoder_options == load_recipe("demo")["encoder_config"]
    assert AutoModel.from_pretrained(TINY_TEACHER).config.num_hidden_layers >= args.embedding_layer
