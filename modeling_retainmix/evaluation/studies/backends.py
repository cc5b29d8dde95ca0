"""The benchmark's table with every backend of the detector, with and without normalization between domains.

python -m modeling_retainmix.evaluation.studies.backends --model outputs/demo                 # validation machines
python -m modeling_retainmix.evaluation.studies.backends --model outputs/demo --evaluation    # once the choice is made
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tqdm.auto import tqdm

from modeling_retainmix.data.benchmark import BenchmarkProtocol, MachineBenchmark
from modeling_retainmix.detection.backends.build import BACKENDS
from modeling_retainmix.detection.embedder import Embedder
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.evaluation.embeddings import embed_mixtures
from modeling_retainmix.evaluation.results import result_row
from modeling_retainmix.evaluation.scores import score_benchmark
from modeling_retainmix.evaluation.studies.encoder_on_factory import (
    factory_parser,
    load_encoder_and_machines,
    write_csv,
)
from modeling_retainmix.hub.result_tables import markdown_table


def backend_rows(
    machines: Sequence[MachineBenchmark], protocol: BenchmarkProtocol, embedder: Embedder
) -> list[dict[str, Any]]:
    """Make one row of `result_row` for each backend, its other settings at their defaults, and each normalization.

    Args:
        machines: machine types; each clip is embedded once, and the embeddings of all are held at a time.
        protocol: SNRs.
        embedder: of one layer.
    """
    embeddings = {
        machine.machine_type: embed_mixtures(machine, protocol, embedder.embed)
        for machine in tqdm(machines, desc="embedding", disable=None)
    }
    (layer,) = embedder.indices
    rows = []
    for backend in BACKENDS:
        for normalization in ("none", "references"):
            settings = DetectorSettings(backend=backend, normalization=normalization)
            scores = score_benchmark(
                machines, protocol, lambda m: embeddings[m.machine_type], settings, embedder.layout
            )
            rows.append(result_row(f"{backend}, normalization={normalization}", scores[layer], layer))
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table as Markdown."""
    args = factory_parser(__doc__).parse_args(argv)
    loaded = load_encoder_and_machines(args)
    rows = backend_rows(loaded.machines, loaded.protocol, loaded.embedder)
    print(f"{loaded.sentence} Official scores in %.\n\n{markdown_table(rows, asdict(loaded.protocol))}")
    if args.output:
        write_csv(args.output, rows)


if __name__ == "__main__":
    main()
