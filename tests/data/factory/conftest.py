"""A tiny factory, built once for all tests of the folder."""

import pytest
from datasets import DatasetDict

from modeling_retainmix.data.factory import FactoryConfig, build_factory


@pytest.fixture(scope="session")
def tiny_config() -> FactoryConfig:
    return FactoryConfig(
        clip_seconds=1.0,
        instances_per_type=2,
        clips_per_instance=2,
        source_references=2,
        target_references=1,
        tests_per_cell=2,
        clips_per_noise_class=1,
        segments_per_kind=11,
    )


@pytest.fixture(scope="session")
def tiny_factory(tiny_config: FactoryConfig, tmp_path_factory: pytest.TempPathFactory) -> DatasetDict:
    return build_factory(tmp_path_factory.mktemp("factory"), tiny_config)
