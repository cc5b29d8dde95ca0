"""The two files of an exported detector: an ONNX graph from samples to score, and what else is needed to use it."""

import bisect
import hashlib
import json
import os
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process

from modeling_retainmix.atomic import moved_into
from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.detection.embedder import Embedder
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.encoders.fbank import FRAME_LENGTH, FRAME_SHIFT, SAMPLING_RATE
from modeling_retainmix.encoders.feature_extraction_beats import SHORTEST_UNREPEATED, BeatsFeatureExtractor
from modeling_retainmix.export.fourier import TRANSLATIONS
from modeling_retainmix.export.window_scorer import WindowScorer

GRAPH_FILE, DESCRIPTION_FILE = "scorer.onnx", "scorer.json"
FORMAT = 1  # of the description; readers refuse others
TOLERANCE = 1e-4  # of scores, relative, or where they are standardized and small, of a standard deviation

_CHECKED_SECONDS = (0.2, 0.5, 0.77, 1.0, 1.31, 2.0, 3.3, 5.0, 7.1, 10.0)
_SCOPES = "pkg.torch.onnx.name_scopes"  # where the exporter writes which modules a node comes from


def export_scorer(
    folder: str | os.PathLike[str],
    embedder: Embedder,
    settings: DetectorSettings,
    scores: DomainScores,
    thresholds: dict[str, Any] | None,
    references: list[str],
    int8: bool = False,
) -> None:
    """Write `scorer.onnx` and `scorer.json`; arguments and errors as in `AnomalyDetector.export_onnx`.

    Args:
        folder: made where it is missing.
        embedder, settings, scores: of the detector.
        thresholds: as `threshold_table` gives them.
        references: names of the recordings.
        int8: whether weights of the encoder's matrices are stored, and multiplied, in 8 bits.
    """
    if embedder.model.dtype != torch.float32:
        raise ValueError(f"an encoder in {embedder.model.dtype} cannot be exported: load it in float32")
    has_weights = any(isinstance(layer, torch.nn.Linear) for layer in embedder.model.modules())
    if int8 and not (embedder.indices and has_weights):
        raise ValueError("int8=True needs an encoder, whose weights it quantizes: leave it out")
    module = WindowScorer(settings, embedder.on_cpu(), scores).eval()
    graph = _quantized(_graph(module)) if int8 else _graph(module)
    deviation = _largest_deviation(module, graph, int8)
    shortest, longest = _sample_range(embedder)
    extractor = embedder.feature_extractor
    repeats = isinstance(extractor, BeatsFeatureExtractor) and extractor.padding_rule == "conv"
    windows = {name: getattr(settings.windows, name) for name in ("window_seconds", "hop_seconds", "reduce", "pad")}
    source = embedder.model.config.name_or_path
    description = {
        "format": FORMAT,
        "graph": GRAPH_FILE,
        "sha256": hashlib.sha256(graph).hexdigest(),
        "sampling_rate": SAMPLING_RATE,
        "windows": windows,
        "shortest_samples": shortest,
        "longest_samples": longest,
        "repeat_below": SHORTEST_UNREPEATED if repeats else None,
        "thresholds": thresholds,
        "settings": {**settings.to_dict(), "layer": embedder.layers},
        "provenance": {
            "encoder": Path(source).name if os.path.isdir(source) else source,  # not our paths
            "references": [Path(name).name for name in references],
            "int8": int8,
            "largest_deviation": deviation,
            "versions": {name: version(name) for name in ("retainmix", "torch", "transformers", "onnx")},
        },
    }
    with moved_into(folder) as staging:
        (staging / GRAPH_FILE).write_bytes(graph)
        (staging / DESCRIPTION_FILE).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def _graph(module: WindowScorer) -> bytes:
    """Trace a module with any number of windows of any length."""
    example = torch.from_numpy(_noise(1.31, 2))
    dynamic = torch.export.Dim.DYNAMIC
    with torch.no_grad():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: dynamic, 1: dynamic},),
            input_names=["waveform"],
            output_names=["score"],
            custom_translation_table=TRANSLATIONS,
            verbose=False,
        )
    assert program is not None  # as `dynamo` gives it
    return program.model_proto.SerializeToString()


def _quantized(graph: bytes) -> bytes:
    """Store the weights of the encoder's matrix products as int8, one scale per column; inputs are rounded in use."""
    model = onnx.load_from_string(graph)
    nodes = [node.name for node in model.graph.node if node.op_type in ("MatMul", "Gemm") and _is_of_encoder(node)]
    with tempfile.TemporaryDirectory() as folder:
        shaped, result = Path(folder) / "shaped.onnx", Path(folder) / GRAPH_FILE
        quant_pre_process(model, shaped, skip_optimization=True, skip_symbolic_shape=True)
        quantize_dynamic(
            shaped,
            result,
            op_types_to_quantize=["MatMul", "Gemm"],
            nodes_to_quantize=nodes,
            weight_type=QuantType.QInt8,
            per_channel=True,
            extra_options={"MatMulConstBOnly": True},
        )
        return result.read_bytes()


def _is_of_encoder(node: onnx.NodeProto) -> bool:
    scopes = [entry.value for entry in node.metadata_props if entry.key == _SCOPES]
    return any("'encoder" in scope for scope in scopes)


def _sample_range(embedder: Embedder) -> tuple[int, int]:
    """Fewest and most samples of a window that the detector takes."""

    def fits(samples: int) -> bool:
        try:
            embedder.check_length(samples, "window")
        except ValueError:
            return False
        return True

    config, extractor = embedder.model.config, embedder.feature_extractor
    frames = (config.max_time_patches + 1) * config.patch_size - 1
    frames = min(frames, getattr(extractor, "target_length", None) or frames)
    shortest = bisect.bisect_left(range(SAMPLING_RATE), True, key=fits)
    return shortest, (frames - 1) * FRAME_SHIFT + FRAME_LENGTH + FRAME_SHIFT - 1


def _largest_deviation(module: WindowScorer, graph: bytes, int8: bool) -> float:
    """Compare the scores of module and graph on noise of several lengths: the largest relative deviation.

    Raises:
        ValueError: it exceeds `TOLERANCE`, which int8 may.
    """
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    embedder, deviations = module.embedder, []
    longest = _sample_range(embedder)[1]
    for seconds in _CHECKED_SECONDS:
        noise = _noise(seconds, 1)[:, :longest]
        waveform = torch.from_numpy(noise)
        with torch.no_grad():
            vectors = embedder.join(embedder.pool(embedder.tokens(waveform)))
        expected = module.scores.scores(vectors)
        (actual,) = session.run(None, {"waveform": noise})
        scale = np.abs(expected) if module.statistics is None else np.maximum(np.abs(expected), 1)
        deviations.append(float((np.abs(actual - expected) / scale).max()))
    if not int8 and not max(deviations) <= TOLERANCE:
        raise ValueError(f"scores of the graph differ by {max(deviations):.1e} from the detector's: do not use it")
    return max(deviations)


def _noise(seconds: float, clips: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    return (0.1 * generator.standard_normal((clips, round(seconds * SAMPLING_RATE)))).astype(np.float32)
