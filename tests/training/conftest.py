"""Fixtures over `tiny_training` and `tiny_run`."""

import pytest
from tiny_run import write
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
