"""The published detector of 2026 on a made-up tree, against its formulas in plain loops."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from modeling_retainmix import convert_checkpoint, dcase_score
from modeling_retainmix.data import read_recordings
from modeling_retainmix.detection.cancellation import cancel_far
from modeling_retainmix.encoders import BeatsFeatureExtractor

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "dcase_2026.py"
CHECKPOINT = ROOT / "tests" / "golden" / "beats" / "beats_pretrain.pt"
BANDS = 8


def write_tree(root: Path, machine_types: tuple[str, ...], references: int = 2, longest: float = 0.5) -> Path:
    """Clips of two microphones: a tone in noise near the machine, and noise alone far from it; one clip is long."""
    generator = np.random.default_rng(0)
    for machine_type in machine_types:
        tone = generator.uniform(300, 2000)
        for split, label, count in (("train", "normal", references), ("test", "normal", 2), ("test", "anomaly", 2)):
            for domain in ("source", "target"):
                for index in range(count):
                    is_last = (label, domain, index) == ("anomaly", "target", count - 1)
                    time = np.arange(round(16_000 * (longest if is_last else 0.5 + 0.2 * (index % 2)))) / 16_000
                    pitch = tone * (1 + 0.2 * (domain == "target") + 0.1 * (label == "anomaly") * generator.normal())
                    near = 0.05 * np.sin(2 * np.pi * pitch * time) + generator.normal(0, 0.02, len(time))
                    far = generator.normal(0, 0.1, len(time))
                    path = root / machine_type / split / f"section_00_{domain}_{split}_{label}_{index:04}_x.wav"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    sf.write(path, np.stack([near, far], axis=1), 16_000)
    return root


def run(*options: object, home: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, options), "--device", "cpu"]
    environment = {**os.environ, "HF_HOME": str(home), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def example():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("dcase_2026", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def printed_table(text: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]
    return {row[0]: row[1:] for row in rows if not row[0].startswith("---")}


def tokens_of(model: torch.nn.Module, path: Path, microphones: str) -> np.ndarray:
    """The last layer's tokens of the whole near channel, or of what is left of it, [time * BANDS, hidden]."""
    near, far = sf.read(path, dtype="float32")[0].T
    waveform = torch.from_numpy(np.ascontiguousarray(near) if microphones == "near" else cancel_far(near, far))
    with torch.no_grad():
        return model(BeatsFeatureExtractor().extract_features(waveform[None])).last_hidden_state[0].double().numpy()


def naive_pooling(tokens: np.ndarray, gamma: int) -> list[np.ndarray]:
    """A vector for each band, by RDP as its formula has it; gamma 0 is the mean."""
    bands = []
    for band in range(BANDS):
        columns = tokens[band::BANDS]  # token index = time * BANDS + band
        distance = np.linalg.norm(columns - columns.mean(axis=0), axis=1)
        weights = (1 + distance / distance.max()) ** gamma
        bands.append((weights[:, None] * columns).sum(axis=0) / weights.sum())
    return bands


def cosine_distance(one: np.ndarray, other: np.ndarray) -> float:
    return (1 - one @ other / np.linalg.norm(one) / np.linalg.norm(other)) / 2


def naive_scores(references: list[list[np.ndarray]], tests: list[list[np.ndarray]]) -> np.ndarray:
    """BEAM with VarMin: mean over bands of min_i (d_i - alpha * b_i)."""
    scores = np.zeros(len(tests))
    for band in range(BANDS):
        bank = [reference[band] for reference in references]
        near = [sorted((cosine_distance(one, two), j) for j, two in enumerate(bank) if j != i)[:4]
                for i, one in enumerate(bank)]  # fmt: skip
        spacing = [np.mean([distance for distance, _ in nearest]) for nearest in near]
        d, b = [nearest[0][0] for nearest in near], [spacing[nearest[0][1]] for nearest in near]
        alpha = np.cov(d, b, bias=True)[0, 1] / np.var(b)
        for index, test in enumerate(tests):
            pairs = zip(bank, spacing, strict=True)
            scores[index] += min(cosine_distance(test[band], one) - alpha * s for one, s in pairs) / BANDS
    return scores


@pytest.mark.slow
@pytest.mark.parametrize("microphones", ["near", "cancel"])
def test_scores_are_those_of_the_published_formulas_on_whole_clips(example, tmp_path, capsys, microphones):
    machine_types = ("ToyCar", "fan")
    data = write_tree(tmp_path / "dev_data", machine_types, references=4, longest=10.6)  # a usual window has 10 s
    recordings = read_recordings(data)
    columns = {name: np.asarray(recordings[name]) for name in recordings.column_names}
    detectors = example.load_detectors(str(CHECKPOINT), "cpu", 4, microphones)
    tests, scores = example.score_tests(detectors, columns)
    found = printed_table(example.results_table(tests, scores, microphones))
    assert list(found) == ["Official score in %", "ToyCar", "fan", "all"]
    model = convert_checkpoint(CHECKPOINT, tmp_path / "converted")
    tokens = {path: tokens_of(model, Path(path), microphones) for path in columns["path"].tolist()}
    for column, gamma in enumerate((0, 4, 8)):
        for machine_type in machine_types:
            of_type = tests["machine_type"] == machine_type
            is_reference = (columns["machine_type"] == machine_type) & (columns["split"] == "train")
            bank = [naive_pooling(tokens[path], gamma) for path in columns["path"][is_reference].tolist()]
            queries = [naive_pooling(tokens[path], gamma) for path in tests["path"][of_type].tolist()]
            expected = naive_scores(bank, queries)
            np.testing.assert_allclose(scores[gamma][of_type], expected, rtol=1e-3, atol=1e-6)
            labels, domains = tests["label"][of_type] == "anomaly", tests["domain"][of_type]
            official = dcase_score(expected, labels.astype(int), domains)["official_score"]
            assert found[machine_type][column] == f"{100 * official:.2f}"
        overall = dcase_score(
            scores[gamma], (tests["label"] == "anomaly").astype(int), tests["domain"], tests["machine_type"]
        )
        assert found["all"][column] == f"{100 * overall['official_score']:.2f}"
    assert not np.allclose(scores[0], scores[8], rtol=1e-3)
    assert re.search(r"^fan: [\d.]+, [\d.]+, [\d.]+$", capsys.readouterr().err, re.MULTILINE)


@pytest.mark.slow
def test_when_all_seven_machine_types_are_there_then_the_published_scores_stand_below_ours(example, tmp_path):
    data = write_tree(tmp_path / "dev_data", tuple(sorted(example.MACHINE_TYPES)))
    result = run("--model", CHECKPOINT, "--data", data, home=tmp_path / "home")
    assert result.returncode == 0, result.stderr
    found = printed_table(result.stdout)
    assert list(found)[1:] == [*sorted(example.MACHINE_TYPES), "all", "published (arXiv 2608.00447)", "difference"]
    assert found["published (arXiv 2608.00447)"] == ["60.28", "61.32", "62.02"]
    for ours, theirs, difference in zip(*list(found.values())[-3:], strict=True):
        assert float(difference) == pytest.approx(float(ours) - float(theirs), abs=0.011)
    assert "lack" not in result.stdout


def make_anonymous(tree: Path, truth: Path) -> None:
    """Give tests the names of an evaluation set, and write labels and domains as the organizers do."""
    for folder in ("ground_truth_data", "ground_truth_domain"):
        (truth / folder).mkdir(parents=True)
    for machine in tree.iterdir():
        labels, domains = [], []
        for index, path in enumerate(sorted((machine / "test").iterdir())):
            name = f"section_00_{index:04}.wav"
            labels.append(f"{name},{int('anomaly' in path.name)}\n")
            domains.append(f"{name},{int('target' in path.name)}\n")
            path.rename(path.with_name(name))
        file = f"ground_truth_{machine.name}_section_00_test.csv"
        (truth / "ground_truth_data" / file).write_text("".join(labels))
        (truth / "ground_truth_domain" / file).write_text("".join(domains))


@pytest.mark.slow
def test_when_tests_have_no_labels_then_the_ground_truth_gives_them_and_missing_machine_types_are_named(tmp_path):
    data = write_tree(tmp_path / "dev_data", ("fan",))
    labelled = run("--model", CHECKPOINT, "--data", data, home=tmp_path / "home")
    assert labelled.returncode == 0, labelled.stderr
    make_anonymous(data, tmp_path / "truth")
    result = run(
        *("--model", CHECKPOINT, "--data", data, "--ground_truth", tmp_path / "truth"), home=tmp_path / "home"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == labelled.stdout
    assert list(printed_table(result.stdout)) == ["Official score in %", "fan", "all"]
    assert "(arXiv 2608.00447): 60.28, 61.32, 62.02.\n" in result.stdout
    assert "These recordings lack ToyCar, ToyCarEmu, bearingEmu, gearboxEmu, sliderEmu, valveEmu." in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: [path.unlink() for path in tree.rglob("*anomaly*")], "holds no anomaly test"),
        (lambda tree: make_anonymous(tree, tree.parent / "truth"), "have no label"),
    ],
    ids=["no anomalies", "no labels"],
)
def test_when_the_recordings_cannot_be_scored_then_one_line_says_why(tmp_path, change, message):
    tree = write_tree(tmp_path / "dev_data", ("fan",))
    change(tree)
    result = run("--model", CHECKPOINT, "--data", tree, home=tmp_path / "home")
    assert result.returncode == 1
    assert result.stderr.startswith("error: ") and message in result.stderr
