"""Encoders and detectors in other forms."""

from pathlib import Path

from modeling_retainmix import AnomalyDetector, BeatsConfig, BeatsModel
from modeling_retainmix.training import weight_average

CHECKPOINT = Path(__file__).parents[1] / "golden" / "beats" / "beats_pretrain.pt"


def test_when_a_checkpoint_is_converted_then_the_folder_loads_as_an_encoder(command, tmp_path):
    status, (record,), errors = command("convert", CHECKPOINT, "--output", tmp_path / "beats")
    assert (status, record["class"]) == (0, "BeatsModel") and "M parameters" in errors
    assert AnomalyDetector.from_pretrained(tmp_path / "beats").reference_names == []
    status, _, errors = command("export", "--detector", tmp_path / "beats", "--output", tmp_path / "onnx")
    assert status == 2 and "is an encoder without references: fit it with `retainmix fit" in errors.splitlines()[-1]


def test_when_a_detector_is_exported_then_the_size_of_the_graph_is_told(fitted, command, monkeypatch, tmp_path):
    calls = []

    def export_onnx(self, folder, int8):  # tested beside it
        calls.append((len(self.reference_names), int8))
        folder.mkdir()
        (folder / "scorer.onnx").write_bytes(b"graph")

    monkeypatch.setattr(AnomalyDetector, "export_onnx", export_onnx)
    status, (record,), _ = command("export", "--detector", fitted, "--output", tmp_path / "onnx", "--int8")
    assert (status, record["bytes"], calls) == (0, 5, [(12, True)])
    assert record["files"] == [str(tmp_path / "onnx" / name) for name in ("scorer.onnx", "scorer.json")]


def test_when_students_are_averaged_then_the_folder_of_the_mean_is_told(command, monkeypatch, tmp_path):
    def average_models(models, output_dir):  # tested beside it
        assert (list(models), output_dir) == (["one", "acme/other"], tmp_path / "mean")
        sizes = {"hidden_size": 16, "intermediate_size": 32, "patch_embed_size": 8}
        return BeatsModel(BeatsConfig(num_hidden_layers=1, num_attention_heads=2, **sizes))

    monkeypatch.setattr(weight_average, "average_models", average_models)
    status, (record,), errors = command("average", "one", "acme/other", "--output", tmp_path / "mean")
    assert (status, record["model"], record["average_of"]) == (0, str(tmp_path / "mean"), ["one", "acme/other"])
    assert "averaging 2 models" in errors


def test_when_one_model_is_averaged_then_the_cure_is_told(command, tmp_path):
    status, _, errors = command("average", "one", "--output", tmp_path / "mean")
    assert status == 2 and errors.splitlines()[-1] == (
        "error: a mean takes two or more models, got one: name their folders"
    )
