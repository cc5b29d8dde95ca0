"""The demo's teacher: taken from the checkout where it is the encoder that is asked for."""

import pytest
from transformers import AutoModel

import modeling_retainmix.training.source_tagging as teacher
from modeling_retainmix.encoders import BeatsConfig
from modeling_retainmix.training.recipe import load_recipe
from modeling_retainmix.training.source_tagging import TINY_TEACHER, trained_teacher

OPTIONS = {"hidden_size": 32, "num_hidden_layers": 2}


@pytest.fixture
def held(tmp_path, monkeypatch):
    BeatsConfig(**OPTIONS, num_attention_heads=2, intermediate_size=64).save_pretrained(tmp_path / "held")
    monkeypatch.setattr(teacher, "TINY_TEACHER", tmp_path / "held")
    return str(tmp_path / "held")


def test_when_checkout_holds_the_encoder_of_the_recipe_then_it_is_taken(held):
    assert trained_teacher(OPTIONS) == held


@pytest.mark.parametrize("options", [OPTIONS | {"hidden_size": 64}, {}])
def test_when_another_encoder_or_none_is_asked_for_then_it_is_left(held, options):
    assert trained_teacher(options) is None


def test_when_there_is_no_checkout_then_there_is_no_teacher(tmp_path, monkeypatch):
    monkeypatch.setattr(teacher, "TINY_TEACHER", tmp_path / "absent")
    assert trained_teacher(OPTIONS) is None


def test_the_demo_starts_from_the_teacher_of_the_checkout():
    recipe = load_recipe("demo")
    assert trained_teacher(recipe["encoder_config"]) == str(TINY_TEACHER)
    assert AutoModel.from_pretrained(TINY_TEACHER).config.num_hidden_layers >= recipe["embedding_layer"]
