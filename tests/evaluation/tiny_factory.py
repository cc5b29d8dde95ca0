"""Arguments of the commands on the procedural factory, at a size that takes seconds."""

import pytest
import torch

from modeling_retainmix import BeatsConfig, BeatsFeatureExtractor, BeatsModel
from modeling_retainmix.data.benchmark import BenchmarkProtocol
from modeling_retainmix.evaluation.studies import encoder_on_factory

TINY_PROTOCOL = BenchmarkProtocol("tiny", 7, 6, 5, (-10, 0, 10), (-10, 0), clip_seconds=1.0)


@pytest.fixture(scope="session")
def factory_folders(tmp_path_factory):
    """An encoder with random weights, and an empty folder for the tables."""
    torch.manual_seed(0)
    config = BeatsConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, patch_embed_size=8
    )
    encoder, tables = tmp_path_factory.mktemp("encoder"), tmp_path_factory.mktemp("tables")
    BeatsModel(config).save_pretrained(encoder)
    BeatsFeatureExtractor().save_pretrained(encoder)
    return encoder, tables


@pytest.fixture
def factory_arguments(factory_folders, monkeypatch):
    monkeypatch.setattr(encoder_on_factory, "PROTOCOL", TINY_PROTOCOL)
    encoder, tables = factory_folders
    return ["--model", str(encoder), "--cache_dir", str(tables), "--device", "cpu"]
