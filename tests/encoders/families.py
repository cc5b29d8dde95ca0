"""Tiny models of every encoder family, for tests that any of them must pass."""

from dataclasses import dataclass
from typing import Any

import torch

from modeling_retainmix.encoders import (
    BeatsConfig,
    BeatsFeatureExtractor,
    BeatsForAudioClassification,
    BeatsModel,
    EatConfig,
    EatFeatureExtractor,
    EatForAudioClassification,
    EatModel,
)


@dataclass(frozen=True)
class Family:
    """Classes of one encoder family and the fields of a tiny configuration."""

    config_class: type
    model_class: type
    classifier_class: type
    extractor_class: type
    fields: dict[str, Any]

    def config(self, **overrides: Any) -> Any:
        return self.config_class(**{**self.fields, **overrides})

    def model(self, **overrides: Any) -> Any:
        return randomised(self.model_class(self.config(**overrides))).eval()

    def classifier(self, **overrides: Any) -> Any:
        return randomised(self.classifier_class(self.config(**overrides))).eval()


BEATS = Family(
    BeatsConfig,
    BeatsModel,
    BeatsForAudioClassification,
    BeatsFeatureExtractor,
    {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "patch_embed_size": 24,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
        "num_buckets": 32,
        "max_bucket_distance": 80,
    },
)
EAT = Family(
    EatConfig,
    EatModel,
    EatForAudioClassification,
    EatFeatureExtractor,
    {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_time_patches": 64,
    },
)
FAMILIES = {"beats": BEATS, "eat": EAT}


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Moves every parameter away from its initial value, so that nothing is tested at zero or one."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def features(batch: int = 2, frames: int = 64, seed: int = 2) -> torch.Tensor:
    """[batch, frames, 128]"""
    return torch.randn(batch, frames, 128, generator=torch.Generator().manual_seed(seed))
