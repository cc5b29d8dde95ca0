"""Encoders and detectors in other forms."""

from pathlib import Path

from modeling_retainmix import AnomalyDetector

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
