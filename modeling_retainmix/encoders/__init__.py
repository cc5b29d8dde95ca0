"""Encoders as transformers models. Importing this package makes the Auto classes know them."""

from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification, AutoProcessor

from .configuration_beats import BeatsConfig
from .configuration_eat import EatConfig
from .configuration_log_mel import LogMelConfig
from .feature_extraction_beats import BeatsFeatureExtractor
from .feature_extraction_eat import EatFeatureExtractor
from .modeling_beats import BeatsForAudioClassification, BeatsModel
from .modeling_eat import EatForAudioClassification, EatModel
from .modeling_log_mel import LogMelModel

AutoConfig.register(BeatsConfig.model_type, BeatsConfig)
AutoModel.register(BeatsConfig, BeatsModel)
AutoModelForAudioClassification.register(BeatsConfig, BeatsForAudioClassification)
AutoFeatureExtractor.register(BeatsConfig, BeatsFeatureExtractor)
AutoProcessor.register(BeatsConfig, BeatsFeatureExtractor)

AutoConfig.register(EatConfig.model_type, EatConfig)
AutoModel.register(EatConfig, EatModel)
AutoModelForAudioClassification.register(EatConfig, EatForAudioClassification)
AutoFeatureExtractor.register(EatConfig, EatFeatureExtractor)
AutoProcessor.register(EatConfig, EatFeatureExtractor)

AutoConfig.register(LogMelConfig.model_type, LogMelConfig)
AutoModel.register(LogMelConfig, LogMelModel)
AutoFeatureExtractor.register(LogMelConfig, BeatsFeatureExtractor)
AutoProcessor.register(LogMelConfig, BeatsFeatureExtractor)

__all__ = [
    "BeatsConfig",
    "BeatsFeatureExtractor",
    "BeatsForAudioClassification",
    "BeatsModel",
    "EatConfig",
    "EatFeatureExtractor",
    "EatForAudioClassification",
    "EatModel",
    "LogMelConfig",
    "LogMelModel",
]
