"""Files from strangers: nothing in them is run, and what lies about itself is refused."""

import ast
import json
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hub_server import HubServer
from safetensors import SafetensorError
from transformers import AutoModel

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.conversion.convert import convert_checkpoint
from modeling_retainmix.encoders import BeatsConfig, BeatsModel

ROOT = Path(__file__).parents[1]
UNPICKLERS = {
    ("pickle", "load"),
    ("pickle", "loads"),
    ("pickle", "Unpickler"),
    ("joblib", "load"),
    ("yaml", "load"),
    ("yaml", "unsafe_load"),
}


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    config = BeatsConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        patch_embed_size=8,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    BeatsModel(config).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def calls(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            yield (node.func.value.id, node.func.attr), {keyword.arg: keyword.value for keyword in node.keywords}


def test_no_code_unpickles_unless_the_caller_allows_it():
    """`torch.load` with what its caller was allowed, in one place; everywhere else with `weights_only=True`."""
    places = ("modeling_retainmix", "hub_cards", "examples", "benchmarks", "train_accelerate.py")
    roots = [ROOT / place for place in places]
    sources = [path for root in roots for path in (root.rglob("*.py") if root.is_dir() else [root])]
    allowed = []
    for path in sources:
        for name, keywords in calls(path):
            assert name not in UNPICKLERS, path
            assert "allow_pickle" not in keywords or name[0] not in ("np", "numpy"), path
            if name == ("torch", "load"):
                value = keywords.get("weights_only", ast.Constant(False))
                if not (isinstance(value, ast.Constant) and value.value is True):
                    allowed.append((path.relative_to(ROOT).as_posix(), ast.unparse(value)))
    assert allowed == [("modeling_retainmix/conversion/files.py", "not allow_pickle")]


def test_hostile_checkpoint_is_refused_and_not_run(tmp_path):
    path, marker = tmp_path / "model.pt", tmp_path / "marker"
    torch.save({"cfg": {}, "model": Payload(marker)}, path)
    with pytest.raises(ValueError, match=r"model\.pt holds more than tensors and plain values \(posix\.mkdir\)"):
        convert_checkpoint(path, tmp_path / "out")
    assert not marker.exists() and not (tmp_path / "out").exists()


def test_hostile_pickled_weights_in_a_model_folder_are_not_run(model_folder, tmp_path):
    (model_folder / "model.safetensors").unlink()
    torch.save({"encoder": Payload(tmp_path / "marker")}, model_folder / "pytorch_model.bin")
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        AutoModel.from_pretrained(model_folder, use_safetensors=False)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("lie", ["header length", "shape", "offsets", "truncated"])
def test_safetensors_file_with_a_lying_header_is_refused(model_folder, lie):
    path = model_folder / "model.safetensors"
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    tensor = next(entry for name, entry in header.items() if name != "__metadata__")
    if lie == "shape":
        tensor["shape"] = [999, 999]
    elif lie == "offsets":
        tensor["data_offsets"] = [0, 10**12]
    elif lie == "truncated":
        data = data[:-10]
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", 2**60 if lie == "header length" else len(text)) + text + data)
    with pytest.raises(SafetensorError, match="Error while deserializing header"):
        AutoModel.from_pretrained(model_folder)
    with pytest.raises(ValueError, match=rf"^the weights of {model_folder} are damaged \(.*: download"):
        AnomalyDetector.from_pretrained(model_folder)


def test_repository_whose_file_names_leave_its_folder_is_refused(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    with HubServer() as hub:
        hub.add_repository("acme/hum", folder).commits[0].files["../../../../outside.txt"] = b"content"
        code = "from huggingface_hub import snapshot_download; snapshot_download('acme/hum')"
        done = subprocess.run(
            [sys.executable, "-c", code], env=hub.environment(tmp_path / "home"), capture_output=True, text=True
        )
    assert done.returncode != 0 and "cannot contain a '..' path segment" in done.stderr
    assert not list(tmp_path.rglob("outside.txt"))
