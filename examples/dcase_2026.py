"""The published training-free detector of DCASE 2026 Task 2 on the public recordings, beside its published score.

python examples/dcase_2026.py --model BEATs_iter3.pt --data dev_data

What is published (arXiv 2608.00447): BEATs iter3, frozen; tokens of the last layer, of the whole clip as the near
microphone heard it; pooled over time in every frequency band, by the mean or by RDP with gamma 4 or 8; cosine distance
in each band to one bank of the references of both domains, corrected by VarMin; mean over the bands. With
`--microphones cancel` the far microphone is subtracted from the near one. docs/challenge.md says what to download.
"""

import argparse
import sys

import numpy as np
from transformers import AutoConfig

from modeling_retainmix import AnomalyDetector, dcase_score
from modeling_retainmix.conversion.encoders_by_name import loadable_name
from modeling_retainmix.data.layouts.dcase_sections import FAR_CHANNEL, NEAR_CHANNEL
from modeling_retainmix.data.recordings import read_evaluation_recordings
from modeling_retainmix.detection.settings import DetectorSettings, Microphones
from modeling_retainmix.markdown import table

PUBLISHED = {0: 60.28, 4: 61.32, 8: 62.02}  # official score in % on the development set, by gamma of RDP
MACHINE_TYPES = {"ToyCar", "ToyCarEmu", "bearingEmu", "fan", "gearboxEmu", "sliderEmu", "valveEmu"}
LONGEST_CLIP = 600  # seconds: no clip is cut into windows
RULES = 2026


def stack(layer: int, gamma: int, microphones: Microphones = "near") -> DetectorSettings:
    """Return the settings of the published detector, which reads the near microphone; gamma 0 is the mean."""
    return DetectorSettings(
        layer=layer,
        pooling="time_rdp" if gamma else "time_mean",
        rdp_gamma=gamma,
        backend="varmin",
        bank="shared",
        density_neighbors=4,
        normalization="none",
        microphones=microphones,
        window_seconds=LONGEST_CLIP,
        hop_seconds=LONGEST_CLIP,
    )


def load_detectors(
    name: str, device: str | None, batch_size: int, microphones: Microphones = "near"
) -> dict[int, AnomalyDetector]:
    """Load the encoder once: {gamma: detector}, all of its last layer."""
    loadable = loadable_name(name)
    layer = AutoConfig.from_pretrained(loadable).num_hidden_layers
    encoder = AnomalyDetector.from_pretrained(loadable, device=device, batch_size=batch_size, layer=layer).embedder
    return {
        gamma: AnomalyDetector(
            encoder.model, encoder.feature_extractor, stack(layer, gamma, microphones), encoder.device, batch_size
        )
        for gamma in PUBLISHED
    }


def official_score(columns: dict[str, np.ndarray], scores: np.ndarray) -> float:
    """Return the official score of tests in %."""
    is_anomaly = (columns["label"] == "anomaly").astype(int)
    result = dcase_score(scores, is_anomaly, columns["domain"], columns["machine_type"], rules=RULES)
    return 100 * result["official_score"]


def select(columns: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: column[rows] for name, column in columns.items()}


def score_tests(
    detectors: dict[int, AnomalyDetector], columns: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[int, np.ndarray]]:
    """Score the tests of each machine type by its references.

    Returns:
        The columns of the tests, and {gamma: scores [tests]}, by machine type.
    """
    scores: dict[int, list[np.ndarray]] = {gamma: [] for gamma in detectors}
    tests = []
    for machine_type in np.unique(columns["machine_type"]).tolist():
        is_type = columns["machine_type"] == machine_type
        references = select(columns, is_type & (columns["split"] == "train"))
        tests.append(select(columns, is_type & (columns["split"] == "test")))
        for gamma, detector in detectors.items():
            far_channel = None if detector.settings.microphones == "near" else FAR_CHANNEL
            channels = {"channel": NEAR_CHANNEL, "far_channel": far_channel}
            detector.fit(references["path"].tolist(), domains=references["domain"], **channels)
            scores[gamma].append(detector.score(tests[-1]["path"].tolist(), **channels))
        found = ", ".join(f"{official_score(tests[-1], parts[-1]):.2f}" for parts in scores.values())
        print(f"{machine_type}: {found}", file=sys.stderr, flush=True)  # what is known, should the run be stopped
    return (
        {name: np.concatenate([part[name] for part in tests]) for name in columns},
        {gamma: np.concatenate(parts) for gamma, parts in scores.items()},
    )


def results_table(
    columns: dict[str, np.ndarray], scores: dict[int, np.ndarray], microphones: Microphones = "near"
) -> str:
    """Return the official scores of each machine type and of all, and the published ones where all seven are there."""
    machine_types = np.unique(columns["machine_type"]).tolist()
    rows = []
    for machine_type in machine_types:
        of_type = columns["machine_type"] == machine_type
        found = [official_score(select(columns, of_type), values[of_type]) for values in scores.values()]
        rows.append([machine_type, *(f"{score:.2f}" for score in found)])
    overall = {gamma: official_score(columns, values) for gamma, values in scores.items()}
    rows.append(["all", *(f"{score:.2f}" for score in overall.values())])
    if set(machine_types) == MACHINE_TYPES and microphones == "near":
        rows.append(["published (arXiv 2608.00447)", *(f"{PUBLISHED[gamma]:.2f}" for gamma in overall)])
        rows.append(["difference", *(f"{score - PUBLISHED[gamma]:+.2f}" for gamma, score in overall.items())])
    names = [f"RDP, gamma {gamma}" if gamma else "mean over time" for gamma in scores]
    return table(["Official score in %", *names], rows, align="l" + "r" * len(names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="BEATs_iter3.pt, or another encoder: folder, Hub name or file")
    parser.add_argument("--data", required=True, help="folder of the development set, <machine>/{train,test}/")
    parser.add_argument("--ground_truth", help="folder of the official ground truth, for the evaluation set")
    parser.add_argument(
        "--microphones",
        choices=("near", "cancel"),
        default="near",
        help="near alone, as published, or the far one subtracted from it",
    )
    parser.add_argument("--device", help="of the encoder; default: the GPU if there is one")
    parser.add_argument("--batch_size", type=int, default=16, help="clips of one forward; default: %(default)s")
    options = parser.parse_args()
    try:
        recordings = read_evaluation_recordings(options.data, options.ground_truth)
        detectors = load_detectors(options.model, options.device, options.batch_size, options.microphones)
        columns = {name: np.asarray(recordings[name]) for name in recordings.column_names}
        tests, scores = score_tests(detectors, columns)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    print(results_table(tests, scores, options.microphones))
    missing = MACHINE_TYPES - set(tests["machine_type"].tolist())
    if missing and options.microphones == "near":
        published = ", ".join(f"{score:.2f}" for score in PUBLISHED.values())
        print(
            f"\nPublished for the seven machine types of the development set (arXiv 2608.00447): {published}.\n"
            f"These recordings lack {', '.join(sorted(missing))}."
        )


if __name__ == "__main__":
    main()
