"""The table of backends and its command."""

import csv

import pytest
from tiny_factory import factory_arguments, factory_folders  # noqa: F401

from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.vector_layout import VectorLayout
from modeling_retainmix.evaluation.embeddings import embed_mixtures
from modeling_retainmix.evaluation.scores import score_benchmark
from modeling_retainmix.evaluation.studies.backends import main
from modeling_retainmix.evaluation.studies.encoder_on_factory import factory_parser, load_encoder_and_machines

BACKENDS = ["knn", "whitened", "subband", "varmin", "density", "mahalanobis", "pca", "fusion"]


@pytest.mark.slow
def test_command_prints_and_writes_what_each_backend_scores_on_validation_machines(
    factory_arguments,  # noqa: F811
    tmp_path,
    capsys,
):
    arguments = [*factory_arguments, "--layer", "1", "--output", str(tmp_path / "table.csv")]
    main(arguments)
    printed = capsys.readouterr().out.splitlines()
    assert "Validation machines" in printed[0] and "layer 1." in printed[0]
    names = [f"{backend}, normalization={rule}" for backend in BACKENDS for rule in ("none", "references")]
    assert [line.split(" | ")[0].removeprefix("| ") for line in printed[4:]] == names

    with open(tmp_path / "table.csv", newline="") as file:
        rows = {row["system"]: row for row in csv.DictReader(file)}
    assert list(rows) == names
    loaded = load_encoder_and_machines(factory_parser(None).parse_args(arguments))

    def embed_machine(machine):
        return embed_mixtures(machine, loaded.protocol, loaded.embedder.embed)

    for backend, bands in (("subband", 8), ("mahalanobis", 1)):
        settings = DetectorSettings(backend=backend, normalization="references")
        scores = score_benchmark(
            loaded.machines, loaded.protocol, embed_machine, settings, VectorLayout(num_bands=bands)
        )[1]
        row = rows[f"{backend}, normalization=references"]
        assert row["Mismatch -10 dB"] == f"{100 * scores.official('Mismatch', -10):.2f}"
        assert row["hmean_all"] == f"{100 * scores.hmean_all:.2f}"
