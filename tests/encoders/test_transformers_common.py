"""The common tests of transformers on our classes, from a folder that `RETAINMIX_TRANSFORMERS_TESTS` names.

They are not part of the installed library, nor of this project: `tests/` of its source distribution holds
`test_modeling_common.py`, `test_configuration_common.py` and `test_sequence_feature_extraction_common.py`; what these
import (`exporters/`, `generation/`, `utils/`) is in the library's repository.

    RETAINMIX_TRANSFORMERS_TESTS=transformers-5.24.0/tests pytest tests/encoders/test_transformers_common.py
"""

import importlib
import os
import sys
import types
import unittest
from typing import Any

import pytest
import torch
from families import FAMILIES, Family, features
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES,
    MODEL_MAPPING_NAMES,
)

FOLDER = os.environ.get("RETAINMIX_TRANSFORMERS_TESTS")
if not FOLDER:
    pytest.skip("RETAINMIX_TRANSFORMERS_TESTS does not name the library's tests", allow_module_level=True)

pytestmark = pytest.mark.slow
PACKAGE = "transformers_tests"
if PACKAGE not in sys.modules:
    sys.modules[PACKAGE] = types.ModuleType(PACKAGE)
    sys.modules[PACKAGE].__path__ = [FOLDER]
modeling, configuration, sequence = (
    importlib.import_module(f"{PACKAGE}.{name}")
    for name in ("test_modeling_common", "test_configuration_common", "test_sequence_feature_extraction_common")
)

# The common tests know by these lists which classes have a loss, and of which labels.
for family in FAMILIES.values():
    MODEL_MAPPING_NAMES[family.config_class.__name__] = family.model_class.__name__
    MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES[family.config_class.__name__] = family.classifier_class.__name__


class ModelTester:
    """A tiny model and its inputs, as the common tests ask for them."""

    batch_size = 3
    num_hidden_layers = 2
    num_attention_heads = 4
    hidden_size = 32
    is_training = True

    def __init__(self, family: Family) -> None:
        self.family = family
        self.seq_length = self.get_config().num_prefix_tokens + 32

    def get_config(self) -> Any:
        return self.family.config(num_labels=3, num_hidden_layers=self.num_hidden_layers, layerdrop=0.0)

    def prepare_config_and_inputs_for_common(self) -> tuple[Any, dict[str, torch.Tensor]]:
        inputs = {"input_values": features(self.batch_size, 64)}
        return self.get_config(), inputs | {"attention_mask": torch.ones(self.batch_size, 64, dtype=torch.long)}


class ExtractorTester:
    """Settings and inputs of a feature extractor: clips of features [frames, mel bins], of growing length."""

    batch_size = 4
    min_seq_length, max_seq_length = 40, 71
    feature_size = 128
    padding_value = 0.0
    sampling_rate = 16_000
    return_attention_mask = True

    def __init__(self) -> None:
        self.seq_length_diff = (self.max_seq_length - self.min_seq_length) // (self.batch_size - 1)

    def prepare_feat_extract_dict(self) -> dict[str, Any]:
        names = ("feature_size", "padding_value", "sampling_rate", "return_attention_mask")
        return {name: getattr(self, name) for name in names}

    def prepare_inputs_for_common(self, equal_length: bool = False, numpify: bool = False) -> list[Any]:
        lengths = range(self.min_seq_length, self.max_seq_length, self.seq_length_diff)
        longest = self.max_seq_length
        clips = [features(1, longest if equal_length else length)[0].numpy() for length in lengths]
        return clips if numpify else [clip.tolist() for clip in clips]


def model_tests(family: Family) -> type:
    class Tests(modeling.ModelTesterMixin, unittest.TestCase):
        all_model_classes = (family.model_class, family.classifier_class)
        test_resize_embeddings = False
        test_pruning = False

        def setUp(self) -> None:
            self.model_tester = ModelTester(family)
            self.config_tester = configuration.ConfigTester(
                self, config_class=family.config_class, has_text_modality=False, **family.fields
            )

        def test_config(self) -> None:
            self.config_tester.run_common_tests()

        @unittest.skip("the input is a spectrogram: there are no token ids to embed")
        def test_inputs_embeds(self) -> None: ...

        def test_model_get_set_embeddings(self) -> None:
            for model_class in self.all_model_classes:
                model = model_class(self.model_tester.get_config())
                self.assertIsInstance(model.get_input_embeddings(), torch.nn.Module)
                self.assertIsNone(model.get_output_embeddings())

    return Tests


def extractor_tests(family: Family) -> type:
    class Tests(sequence.SequenceFeatureExtractionTestMixin, unittest.TestCase):
        feature_extraction_class = family.extractor_class

        def setUp(self) -> None:
            self.feat_extract_tester = ExtractorTester()

    return Tests


TestBeatsModel = model_tests(FAMILIES["beats"])
TestEatModel = model_tests(FAMILIES["eat"])
TestBeatsFeatureExtractor = extractor_tests(FAMILIES["beats"])
TestEatFeatureExtractor = extractor_tests(FAMILIES["eat"])
