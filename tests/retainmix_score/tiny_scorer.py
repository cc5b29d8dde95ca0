"""A scorer whose score is the largest sample of a window, for tests of what lies around the graph."""

import hashlib
import json

import numpy as np
from onnx import TensorProto, helper

RATE = 1_000
DESCRIPTION = {
    "format": 1,
    "graph": "scorer.onnx",
    "sampling_rate": RATE,
    "windows": {"window_seconds": 1.0, "hop_seconds": 0.5, "reduce": "max", "pad": False},
    "shortest_samples": 100,
    "longest_samples": 5_000,
    "repeat_below": 200,
    "thresholds": {"by_windows": {"1": 0.5, "2": 0.6, "4": 0.7}},
}


def write_scorer(folder, sum=False, **changes):
    """Write a scorer with a changed description; `sum=True`: its score is the sum of all samples."""
    samples = helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["windows", "samples"])
    score = helper.make_tensor_value_info("score", TensorProto.DOUBLE, ["windows"])
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    nodes = [
        helper.make_node("ReduceSum" if sum else "ReduceMax", ["waveform", "axes"], ["reduced"], keepdims=0),
        helper.make_node("Cast", ["reduced"], ["score"], to=TensorProto.DOUBLE),
    ]
    graph = helper.make_graph(nodes, "scorer", [samples], [score], [axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    content = model.SerializeToString()
    folder.mkdir(exist_ok=True)
    (folder / "scorer.onnx").write_bytes(content)
    description = {**DESCRIPTION, "sha256": hashlib.sha256(content).hexdigest(), **changes}
    (folder / "scorer.json").write_text(json.dumps(description))
    return folder


def ramp(samples):
    """Rises to 1; the largest sample of a window is its last one."""
    return (np.arange(1, samples + 1) / samples).astype(np.float32)
