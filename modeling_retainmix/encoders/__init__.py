"""Encoders as transformers models. Importing this package makes the Auto classes know them."""

from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification

from .configuration_beats import BeatsConfig
from .feature_extraction_beats import BeatsFeatureExtractor
from .modeling_beats import BeatsForAudioClassification, BeatsModel

AutoConfig.register(BeatsConfig.model_type, BeatsConfig)
AutoModel.register(BeatsConfig, BeatsModel)
AutoModelForAudioClassification.register(BeatsConfig, BeatsForAudioClassification)
AutoFeatureExtractor.register(BeatsConfig, BeatsFeatureExtractor)

__all__ = ["BeatsConfig", "BeatsFeatureExtractor", "BeatsForAudioClassification", "BeatsModel"]
