"""The acceptance numbers of the procedural factory, as Markdown.

python -m modeling_retainmix.evaluation.studies.factory_report  # validation types
python -m modeling_retainmix.evaluation.studies.factory_report --teacher FOLDER  # and the checks on a small encoder
python -m modeling_retainmix.evaluation.studies.factory_report --evaluation  # once it stands
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from huggingface_hub.constants import HF_HOME
from tqdm.auto import tqdm
from transformers import AutoFeatureExtractor, AutoModel

from modeling_retainmix import markdown
from modeling_retainmix.conversion.encoders_by_name import loadable_name
from modeling_retainmix.data.benchmark import build_benchmark
from modeling_retainmix.data.factory import (
    FACTORY_SHA256,
    FACTORY_VERSION,
    FACTORY_VERSIONS,
    FactoryConfig,
    build_factory,
    factory_fingerprint,
)
from modeling_retainmix.data.factory.catalogue import SPLITS
from modeling_retainmix.data.factory.plan import sample_hash
from modeling_retainmix.detection.embedder import Embedder
from modeling_retainmix.encoders import BeatsFeatureExtractor
from modeling_retainmix.evaluation.embeddings import log_mel_embedder
from modeling_retainmix.evaluation.studies.factory_acceptance import (
    ACCEPTANCE_PROTOCOL,
    ENCODER_PROTOCOL,
    Check,
    encoder_checks,
    log_mel_checks,
    log_mel_table,
    mechanism_checks,
    same_samples,
)
from modeling_retainmix.pretrained import load_pretrained

CLIPS_PER_TYPE = (
    ACCEPTANCE_PROTOCOL.source_references
    + ACCEPTANCE_PROTOCOL.target_references
    + 4 * ACCEPTANCE_PROTOCOL.tests_per_cell
)
REPORT_CONFIG = FactoryConfig(tests_per_cell=ACCEPTANCE_PROTOCOL.tests_per_cell, segments_per_kind=CLIPS_PER_TYPE)
SAME_BYTES_CONFIG = FactoryConfig(
    clip_seconds=1.0,
    instances_per_type=1,
    clips_per_instance=1,
    source_references=1,
    target_references=1,
    tests_per_cell=5,
    clips_per_noise_class=1,
    segments_per_kind=3,
)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the report; the exit status is 1 where a check fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--evaluation", action="store_true", help="score the evaluation types, not the validation types"
    )
    parser.add_argument("--factory_version", type=int, choices=FACTORY_VERSIONS, default=FACTORY_VERSION)
    parser.add_argument("--teacher", help="folder or Hub name of a small tagging encoder")
    parser.add_argument("--cache_dir", default=str(Path(HF_HOME) / "retainmix"), help="folder of the tables")
    parser.add_argument("--num_proc", type=int, default=2, help="processes that make the tables")
    args = parser.parse_args(argv)
    if args.teacher:
        try:
            args.teacher = loadable_name(args.teacher)
            teacher = load_pretrained(AutoModel, args.teacher)
        except (FileNotFoundError, ValueError) as error:
            parser.error(f"--teacher: {error}")
    split = "evaluation" if args.evaluation else "validation"

    version = args.factory_version
    factory = build_factory(args.cache_dir, replace(REPORT_CONFIG, version=version), args.num_proc, splits=[split])
    clean, noise = factory[f"{split}_machines"], factory[f"{split}_noise"]
    embed = log_mel_embedder(BeatsFeatureExtractor())
    benchmark = build_benchmark(clean, noise, ACCEPTANCE_PROTOCOL)
    tables = [log_mel_table(machine, embed) for machine in tqdm(benchmark, desc="log-mel mean", disable=None)]
    checks = log_mel_checks(tables, version)
    if args.teacher:
        extractor = AutoFeatureExtractor.from_pretrained(args.teacher)
        last_layer = Embedder(teacher, extractor, [teacher.config.num_hidden_layers])
        small = build_benchmark(clean, noise, ENCODER_PROTOCOL)
        checks += encoder_checks(small, last_layer.embed)
    mechanisms = mechanism_checks(tables)
    same_bytes = _same_bytes(version)

    print(f"## Procedural factory `{factory_fingerprint(FactoryConfig(version=version))}`, {split} types\n")
    print(
        f"Official score in %, K = 1, the nearer of both domains, no normalization; harmonic mean over machine types. "
        f"References as in protocol `small`; {ACCEPTANCE_PROTOCOL.tests_per_cell} test clips per cell of domain x "
        f"label ({ENCODER_PROTOCOL.tests_per_cell} for the encoder).\n"
    )
    print(summary_table(checks + mechanisms, same_bytes) + "\n")
    print(type_table(checks) + "\n")
    print(type_table(mechanisms))
    passed = all(same_bytes.values()) and all(check.passed for check in checks + mechanisms)
    sys.exit(0 if passed else 1)


def _same_bytes(version: int) -> dict[str, bool]:
    """Whether runs, numbers of workers and the recorded hash agree."""
    with tempfile.TemporaryDirectory() as folder:
        builds = [
            build_factory(Path(folder) / str(run), replace(SAME_BYTES_CONFIG, version=version), num_proc)
            for run, num_proc in enumerate((1, 1, 4))
        ]
        return {
            "same bytes in two runs": same_samples(builds[:2]),
            "same bytes with 1 and 4 workers": same_samples(builds[1:]),
            "recorded hash of sample clips": sample_hash(FactoryConfig(version=version), SPLITS)
            == FACTORY_SHA256[version],
        }


def summary_table(checks: Sequence[Check], same_bytes: dict[str, bool]) -> str:
    """Return every check with its bounds and whether it holds."""
    rows = []
    for check in checks:
        values = check.values.values()
        spread = f"{min(values):.1f} to {max(values):.1f}"
        verdict = "pass" if check.passed else "FAIL"
        rows.append([check.name, f"{check.mean:.1f}", _bound(check.bounds), spread, _bound(check.each), verdict])
    rows += [[name, "", "equal", "", "", "pass" if same else "FAIL"] for name, same in same_bytes.items()]
    return markdown.table(["check", "mean", "bound", "per machine type", "bound", ""], rows, "lrllll")


def type_table(checks: Sequence[Check]) -> str:
    """Return the values of every machine type."""
    types = sorted({name for check in checks for name in check.values if len(check.values) > 1})
    rows = [
        [check.name, *(f"{check.values[name]:.1f}" if name in check.values else "" for name in types)]
        for check in checks
        if len(check.values) > 1
    ]
    return markdown.table(["check", *types], rows, "l" + "r" * len(types))


def _bound(bounds: tuple[float, float]) -> str:
    low, high = bounds
    if low == -float("inf"):
        return "" if high == float("inf") else f"<= {high:g}"
    return f">= {low:g}" if high == float("inf") else f"{low:g} to {high:g}"


if __name__ == "__main__":
    main()
