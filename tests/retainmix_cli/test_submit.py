"""The challenge's folders become a submission."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import yaml
from tree_of_2026 import write_tree

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.data.layouts.challenge_csv import read_table
from modeling_retainmix.detection.backends.build import BACKENDS

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "hub_cards" / "retainmix-beats-tiny"
TEAM = {
    "label": "Example_EI_task2_1",
    "name": "RetainMix",
    "abbreviation": "RetainMix",
    "authors": [
        {
            "firstname": "Ada",
            "lastname": "Example",
            "email": "ada@example.org",
            "corresponding": True,
            "affiliation": {"institution": "Example Institute", "department": "Acoustics", "location": "Nowhere"},
        }
    ],
}


def write(generator: np.random.Generator, folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        sf.write(folder / f"{name}.wav", generator.normal(0, 0.1, 8000), 16000)


@pytest.fixture
def submit(command):
    """Run the command on the data sets and the team of a folder."""

    def run(folder, *options, year=2024):
        arguments = ["--model", MODEL, "--year", year, "--system", folder / "team.yaml"]
        arguments += ["--development", folder / "dev", "--evaluation", folder / "eval"]
        return command("submit", *arguments, "--output", folder / "package", *options)

    return run


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    references = [f"section_00_{d}_train_normal_{i:04}_x" for d in ("source", "target") for i in range(3)]
    labelled = [f"section_00_{d}_test_{c}_0000_x" for d in ("source", "target") for c in ("normal", "anomaly")]
    write(generator, tmp_path / "dev" / "fan" / "train", *references)
    write(generator, tmp_path / "dev" / "fan" / "test", *labelled)
    for machine_type in ("Scanner", "3DPrinter"):
        write(generator, tmp_path / "eval" / machine_type / "train", *references)
        write(generator, tmp_path / "eval" / machine_type / "test", "section_00_0000", "section_00_0001")
    (tmp_path / "team.yaml").write_text(yaml.safe_dump(TEAM))
    return tmp_path


@pytest.mark.slow
def test_scores_decisions_and_meta_are_those_of_the_detector_and_what_is_missing_is_told(folder, submit):
    status, (record,), errors = submit(folder)
    assert status == 0, errors
    written = folder / "package" / "task2" / "Example_EI_task2_1"
    for machine_type in ("Scanner", "3DPrinter"):
        detector = AnomalyDetector.from_pretrained(MODEL).fit(folder / "eval" / machine_type / "train")
        expected = detector.score(folder / "eval" / machine_type / "test")
        scores = read_table(written / f"anomaly_score_{machine_type}_section_00_test.csv")
        assert list(scores) == ["section_00_0000.wav", "section_00_0001.wav"]
        np.testing.assert_allclose(list(scores.values()), expected, rtol=1e-4)
        decisions = read_table(written / f"decision_result_{machine_type}_section_00_test.csv")
        assert list(decisions.values()) == (expected > detector.threshold(0.1)).tolist()
    meta = yaml.safe_load((written / "Example_EI_task2_1.meta.yaml").read_text())
    method = BACKENDS[detector.settings.backend].method
    assert meta["system"]["description"]["machine_learning_method"] == method
    assert list(meta["results"]["development_dataset"]) == ["fan"]
    assert [path.name for path in (folder / "package").iterdir()] == ["task2"]  # the partial scores are gone
    assert record["submission"] == str(written) and 0 < record["development_score"] <= 1
    assert "Example_EI_task2_1.technical_report.pdf is missing" in record["problems"]
    assert "anomaly_score_Scanner_section_00_test.csv has 2 clips, the evaluation set 200" in record["problems"]


@pytest.mark.slow
@pytest.mark.parametrize("microphones", ["near", "cancel"])
def test_of_data_of_2026_the_near_channel_is_read_or_both(tmp_path, submit, microphones):
    write_tree(tmp_path)
    for part, machine_types in (("dev", ["fan"]), ("eval", ["ToothBrush", "ToyDrone"])):
        for machine_type in machine_types:
            shutil.move(tmp_path / f"{part}_data" / "raw" / machine_type, tmp_path / part / machine_type)
    (tmp_path / "team.yaml").write_text(yaml.safe_dump(TEAM))
    status, (record,), errors = submit(tmp_path, "--microphones", microphones, year=2026)
    assert status == 0, errors
    written = tmp_path / "package" / "task2" / "Example_EI_task2_1"
    detector = AnomalyDetector.from_pretrained(MODEL, microphones=microphones)
    channels = {"channel": 0} | ({} if microphones == "near" else {"far_channel": 1})
    for machine_type in ("ToothBrush", "ToyDrone"):
        folder = tmp_path / "eval" / machine_type
        expected = detector.fit(folder / "train", **channels).score(folder / "test", **channels)
        scores = read_table(written / f"anomaly_score_{machine_type}_section_00_test.csv")
        np.testing.assert_allclose(list(scores.values()), expected, rtol=1e-4)
    meta = yaml.safe_load((written / "Example_EI_task2_1.meta.yaml").read_text())
    assert (meta["system"]["description"]["front_end"] is None) == (microphones == "near")
    assert "anomaly_score_Sander_section_00_test.csv is missing" in record["problems"]


def test_when_the_system_has_an_unknown_field_then_error_names_file_and_field(folder, submit):
    (folder / "team.yaml").write_text(yaml.safe_dump(TEAM | {"tittle": "x"}))
    status, _, errors = submit(folder)
    assert status == 2
    assert "team.yaml is not a valid description of a system" in errors and "'tittle'" in errors


@pytest.mark.slow
def test_when_a_machine_has_no_references_then_error_names_it(folder, submit):
    shutil.rmtree(folder / "eval" / "Scanner" / "train")
    status, _, errors = submit(folder)
    assert status == 2 and "machine type 'Scanner' has tests but no references" in errors


def test_when_the_output_cannot_be_written_then_it_is_said_before_any_work(folder, submit):
    (folder / "package").write_text("a file")
    status, _, errors = submit(folder)
    assert status == 2 and "Example_EI_task2_1.scores.csv cannot be written" in errors.splitlines()[-1]


@pytest.mark.slow
def test_when_the_package_cannot_be_written_then_scores_stay(folder, submit):
    (folder / "package" / "task2").mkdir(parents=True)
    (folder / "package" / "task2" / "Example_EI_task2_1").write_text("a file in the place of the folder")
    status, _, errors = submit(folder)
    assert status == 2
    partial = folder / "package" / "Example_EI_task2_1.scores.csv.partial"
    assert errors.splitlines()[-1].endswith(f"; 8 rows are kept in {partial}")
    assert len(partial.read_text().splitlines()) == 9
