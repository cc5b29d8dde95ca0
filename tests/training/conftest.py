"""Fixtures over `tiny_training`."""

import pytest
from tiny_training import make_arguments, make_config, make_pairs

from modeling_retainmix.encoders import BeatsFeatureExtractor, BeatsForAudioClassification, BeatsModel


@pytest.fixture(scope="session")
def pairs():
    return make_pairs()


@pytest.fixture
def tiny_config(pairs):
    return make_config(pairs)


@pytest.fixture
def student(tiny_config):
    return BeatsForAudioClassification(tiny_config)


@pytest.fixture
def teacher(tiny_config):
    return BeatsModel(tiny_config)


@pytest.fixture
def feature_extractor():
    return BeatsFeatureExtractor()


@pytest.fixture
def make_args(tmp_path):
    return lambda **options: make_arguments(tmp_path / "run", **options)
