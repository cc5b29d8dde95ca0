"""A written submission is valid and scores as the official evaluator says; a broken one is told every problem."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from modeling_retainmix.csv_files import write_rows
from modeling_retainmix.data.layouts.challenge_csv import Part, read_table
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.evaluation.challenge import submission
from modeling_retainmix.evaluation.challenge.submission import (
    SubmittedSystem,
    official_parts,
    validate_submission,
    write_submission,
)

AUTHOR = {
    "firstname": "Ada",
    "lastname": "Example",
    "email": "ada@example.org",
    "affiliation": {"institution": "Example Institute", "department": "Acoustics", "location": "Nowhere"},
    "corresponding": True,
}
SYSTEM = SubmittedSystem("Example_EI_task2_1", "RetainMix kNN", "RetainMix", [AUTHOR])
RESULTS = {
    "settings": {"snr_db": [-5.0, 5.0], "time_mask_width": 192, "frequency_mask_width": 48},
    "model": {"name": "acme/hum", "embedding_layer": 6, "num_parameters": 90_000_000, "base_model": "acme/base"},
}
DEVELOPMENT = {"machines": {"fan": {"auc_source": 0.61234, "auc_target": 0.5, "pauc": 0.55, "auc": 0.6}}}
REPORT = "Example_EI_task2_1.technical_report.pdf is missing"


def clip_name(part: Part, row: int, year: int) -> str:
    if year == 2020:
        return f"id_{part.section}_{row:08d}.wav"
    return (
        f"section_{part.section}_{part.domain}_test_{row:04d}.wav"
        if year == 2021
        else f"section_{part.section}_{row:04d}.wav"
    )


def clips_of(parts: dict[Part, int | None], year: int = 2023, counts: int = 4) -> dict[str, list]:
    clips: dict[str, list] = {"file_name": [], "machine_type": [], "section": [], "domain": [], "score": []}
    for part, count in parts.items():
        for row in reversed(range(count or counts)):
            clips["file_name"].append(clip_name(part, row, year))
            clips["machine_type"].append(part.machine_type)
            clips["section"].append(part.section)
            clips["domain"].append(part.domain or "source")
            clips["score"].append(row / 4)
    return clips


def write(tmp_path: Path, year: int, system: SubmittedSystem = SYSTEM, **options):
    options = {
        "thresholds": 0.25,
        "settings": DetectorSettings(),
        "clips": clips_of(official_parts(year), year),
        **options,
    }
    return write_submission(tmp_path, system, year, results=RESULTS, development=DEVELOPMENT, **options)


@pytest.mark.parametrize("year", range(2020, 2027))
def test_submission_of_every_year_lacks_only_the_technical_report(tmp_path, year):
    folder, problems = write(tmp_path, year)
    assert folder == tmp_path / "task2" / "Example_EI_task2_1"
    assert problems == [REPORT]
    (folder / "Example_EI_task2_1.technical_report.pdf").write_bytes(b"%PDF")
    assert validate_submission(folder, year) == []
    assert (year == 2020) == (not list(folder.glob("decision_result_*.csv")))


def test_file_names_are_those_of_the_challenge(tmp_path):
    for year, name in (
        (2020, "anomaly_score_ToyCar_id_05.csv"),
        (2021, "decision_result_fan_section_03_target_test.csv"),
        (2023, "decision_result_bandsaw_section_00_test.csv"),
        (2026, "anomaly_score_BlowerDustCollector_section_00_test.csv"),
    ):
        assert (write(tmp_path / str(year), year)[0] / name).is_file()


def test_decisions_are_strictly_above_the_threshold_and_rows_are_sorted(tmp_path):
    part = Part("fan", "00")
    folder, _ = write(tmp_path, 2023, clips=clips_of({part: 4}), thresholds={"fan": 0.5}, expected={part: 4})
    names = [f"section_00_{row:04d}.wav" for row in range(4)]
    scores = read_table(folder / "anomaly_score_fan_section_00_test.csv")
    assert list(scores.items()) == list(zip(names, [0.0, 0.25, 0.5, 0.75], strict=True))
    decisions = (folder / "decision_result_fan_section_00_test.csv").read_text()
    assert decisions == "".join(f"{name},{value}\n" for name, value in zip(names, (0, 0, 0, 1), strict=True))


def test_when_writing_is_interrupted_then_the_former_submission_stays_whole(tmp_path, monkeypatch):
    folder, _ = write(tmp_path, 2023)
    (folder / "Example_EI_task2_1.technical_report.pdf").write_bytes(b"%PDF")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    written, write_rows = [], submission.write_rows

    def stop(path, rows):
        written.append(path.name)
        write_rows(path, rows)
        if len(written) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(submission, "write_rows", stop)
    clips = clips_of(official_parts(2023), 2023)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, 2023, clips={**clips, "score": [0.5] * len(clips["score"])})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    monkeypatch.undo()
    assert write(tmp_path, 2023)[1] == []  # the report is still there


def test_meta_information_is_filled_from_the_run(tmp_path):
    folder, _ = write(tmp_path, 2025)
    meta = yaml.safe_load((folder / "Example_EI_task2_1.meta.yaml").read_text())
    assert meta["system"]["complexity"]["total_parameters"] == 90_000_000
    assert meta["system"]["description"]["embeddings"] == "acme/hum, layer 6"
    assert "[-5.0, 5.0] dB" in meta["system"]["description"]["data_augmentation"]
    assert meta["results"]["development_dataset"] == {"fan": {"auc_source": 61.23, "auc_target": 50.0, "pauc": 55.0}}


def test_meta_information_of_a_mean_of_weights_names_what_its_parts_were_mixed_at(tmp_path, monkeypatch):
    settings = {name: value for name, value in RESULTS["settings"].items() if name != "snr_db"}
    parts = [
        {"name": str(n), "differs": {"snr_db": snr_db, "seed": n}} for n, snr_db in enumerate(([0], [-5, 5], [0]))
    ]
    monkeypatch.setitem(RESULTS, "settings", settings)
    monkeypatch.setitem(RESULTS, "model", RESULTS["model"] | {"average_of": parts})
    folder, _ = write(tmp_path, 2025)
    meta = yaml.safe_load((folder / "Example_EI_task2_1.meta.yaml").read_text())
    augmentation = meta["system"]["description"]["data_augmentation"]
    assert augmentation.startswith("noise mixed at [0] or [-5, 5] dB, SpecAugment (time 192 frames, ")


@pytest.mark.parametrize(
    ("settings", "described"),
    [
        (
            {},
            {
                "machine_learning_method": "k-nearest neighbors in a whitened space",
                "num_neighbors": 1,
                "domain_generalization_method": None,
                "ensemble_method_subsystem_count": 1,
            },
        ),
        (
            {"backend": "mahalanobis"},
            {
                "machine_learning_method": "Mahalanobis distance",
                "num_neighbors": None,
                "domain_generalization_method": "statistics of the references",
                "ensemble_method_subsystem_count": 1,
            },
        ),
        (
            {"backend": "knn", "k": 3, "layer": 4, "normalization": "none", "memmixup_neighbors": 990},
            {
                "machine_learning_method": "k-nearest neighbors",
                "num_neighbors": 3,
                "domain_generalization_method": "MemMixup",
                "embeddings": "acme/hum, layer 4",
            },
        ),
        ({"backend": "fusion", "normalization": "none"}, {"ensemble_method_subsystem_count": 4, "num_neighbors": 1}),
        ({"microphones": "fusion"}, {"ensemble_method_subsystem_count": 2, "front_end": None}),
        ({"microphones": "cancel"}, {"front_end": "far channel subtracted in the STFT domain"}),
    ],
)
def test_meta_information_describes_the_detector_that_gave_the_scores(tmp_path, settings, described):
    folder, _ = write(tmp_path, 2025, settings=DetectorSettings(**settings))
    description = yaml.safe_load((folder / "Example_EI_task2_1.meta.yaml").read_text())["system"]["description"]
    assert description | described == description


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda clips: clips["score"].__setitem__(3, float("nan")),
            "machine 'ToyDrone' has the score nan: every clip",
        ),
        (lambda clips: clips["score"].__setitem__(3, None), "machine 'ToyDrone' has the score None: every clip"),
        (lambda clips: clips["score"].pop(), "1400 clips have 1399 scores"),
        (lambda clips: clips["section"].pop(), "section have 1400, 1400, 1399, 1400 rows"),
        (lambda clips: clips.pop("machine_type"), "the clips have no column machine_type"),
    ],
)
def test_when_a_clip_lacks_something_then_error_names_it_and_nothing_is_written(tmp_path, change, message):
    clips = clips_of(official_parts(2023))
    change(clips)
    with pytest.raises(ValueError, match=message):
        write(tmp_path, 2023, clips=clips)
    assert not list(tmp_path.iterdir())


def test_scores_normalised_by_the_test_clips_are_refused(tmp_path):
    with pytest.raises(ValueError, match="normalised by the test clips are not allowed"):
        write(tmp_path, 2023, settings=DetectorSettings(normalization="test"))
    assert not list(tmp_path.iterdir())


def test_when_a_machine_has_no_threshold_then_error_names_it(tmp_path):
    with pytest.raises(ValueError, match="machine 'ToyDrone' has no threshold"):
        write(tmp_path, 2023, thresholds={"bandsaw": 0.1})
    assert not list(tmp_path.iterdir())


def test_validator_names_every_problem_of_the_tables(tmp_path):
    folder, _ = write(tmp_path, 2023)
    (folder / "anomaly_score_Vacuum_section_00_test.csv").unlink()
    short = folder / "decision_result_grinder_section_00_test.csv"
    write_rows(short, list(read_table(short).items())[1:])
    wrong = folder / "decision_result_bandsaw_section_00_test.csv"
    write_rows(wrong, {**read_table(wrong), "section_00_0007.wav": 2}.items())
    write_rows(folder / "anomaly_score_fan_section_00_test.csv", [("section_00_0000.wav", 1.0)])
    assert sorted(validate_submission(folder, 2023)) == sorted(
        [
            REPORT,
            "anomaly_score_Vacuum_section_00_test.csv is missing",
            "anomaly_score_fan_section_00_test.csv is not part of the evaluation set of 2023",
            "decision_result_bandsaw_section_00_test.csv: section_00_0007.wav has 2, not 0 or 1",
            "decision_result_grinder_section_00_test.csv has 199 clips, the evaluation set 200",
            "decision_result_grinder_section_00_test.csv and anomaly_score_grinder_section_00_test.csv hold different "
            "clips: section_00_0000.wav",
        ]
    )


def test_a_broken_table_hides_no_other_problem(tmp_path):
    folder, _ = write(tmp_path, 2024)
    stem = "{}_section_00_test.csv".format
    score = folder / f"anomaly_score_{stem('Scanner')}"
    text = score.read_text()
    score.write_text("file,score\n" + text)
    decision = folder / f"decision_result_{stem('Scanner')}"
    decision.write_bytes(decision.read_bytes() + b"\xff\xfe")
    twice = folder / f"anomaly_score_{stem('HairDryer')}"
    twice.write_text(twice.read_text() + "section_00_0000.wav,1.0\n")
    renamed = folder / f"anomaly_score_{stem('ToothBrush')}"
    renamed.write_text(renamed.read_text().replace("section_00_0007.wav", "section_00_normal_0007.wav"))
    (folder / f"anomaly_score_{stem('ToyCircuit')}").rename(folder / "anomaly_score_ToyCircuit.csv")
    (folder / f"decision_result_{stem('ToyCircuit')}").unlink()
    assert sorted(validate_submission(folder, 2024)) == sorted(
        [
            REPORT,
            f"{score}, line 1: 'file,score' is not `file name,number`: write the number with a decimal point, and "
            "nothing behind it",
            f"{decision} is not in UTF-8: save it in that encoding",
            f"{twice}, line 201: section_00_0000.wav comes twice",
            f"{renamed.name} holds section_00_normal_0007.wav, which is not a clip of the evaluation set of 2024",
            "decision_result_ToothBrush_section_00_test.csv and anomaly_score_ToothBrush_section_00_test.csv hold "
            "different clips: section_00_0007.wav",
            "anomaly_score_ToyCircuit.csv breaks the naming rule of 2024",
            f"anomaly_score_{stem('ToyCircuit')} is missing",
            f"decision_result_{stem('ToyCircuit')} is missing",
        ]
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"abbreviation": "much too long"}, "the abbreviation 'much too long' must have 1 to 10 characters"),
        ({"authors": [{**AUTHOR, "email": ""}]}, "author 1 lacks email"),
        ({"authors": [AUTHOR, AUTHOR]}, "2 authors are marked `corresponding`, one must be"),
        ({"authors": []}, "0 authors are marked `corresponding`, one must be"),
    ],
)
def test_validator_names_every_problem_of_the_meta_information(tmp_path, change, problem):
    _, problems = write(tmp_path, 2023, replace(SYSTEM, **change))
    assert problems == [f"Example_EI_task2_1.meta.yaml: {problem}", REPORT]


@pytest.mark.parametrize("part", [Part("../fan", "00"), Part("fan", "0/0")])
def test_names_that_would_leave_the_folder_are_refused(tmp_path, part):
    with pytest.raises(ValueError, match="both become part of file names"):
        write(tmp_path, 2023, clips=clips_of({part: 4}))
    with pytest.raises(ValueError, match=r"the label '\.\./x' is not"):
        write(tmp_path, 2023, replace(SYSTEM, label="../x"))
    assert not list(tmp_path.iterdir())


def test_when_folder_name_or_meta_file_is_broken_then_the_problem_says_so(tmp_path):
    folder = write(tmp_path, 2023)[0].rename(tmp_path / "Example_task2_9")
    (folder / "Example_EI_task2_1.meta.yaml").rename(folder / "Example_task2_9.meta.yaml")
    problems = validate_submission(folder, 2023)
    assert problems[0] == "Example_task2_9: the folder's name must be <last name>_<institute>_task2_<1 to 4>"
    assert problems[1] == "Example_task2_9.meta.yaml: the label 'Example_EI_task2_1' is not the folder's name"
    meta = folder / "Example_task2_9.meta.yaml"
    meta.write_text("submission: [")
    assert validate_submission(folder, 2023)[1].startswith("Example_task2_9.meta.yaml is not valid YAML")
    meta.write_text("submission: {label: x}")
    assert "Example_task2_9.meta.yaml lacks system.complexity" in validate_submission(folder, 2023)
    meta.unlink()
    assert "Example_task2_9.meta.yaml is missing" in validate_submission(folder, 2023)
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        validate_submission(tmp_path / "nowhere", 2023)
