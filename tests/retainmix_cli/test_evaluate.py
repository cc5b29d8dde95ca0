"""Official scores of tables, submissions and labeled recordings."""

import numpy as np
import pytest

from modeling_retainmix import AnomalyDetector, dcase_score

SCORES, LABELS = [0.1, 0.9, 0.2, 0.8, 0.7, 0.3], [0, 1, 0, 1, 0, 1]
DOMAINS = ["source", "source", "target", "target", "source", "target"]


def write_table(path, header, *columns):
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in zip(*columns, strict=True))]))
    return path


def test_when_a_table_has_labels_then_the_score_is_the_official_one(tmp_path, command):
    table = write_table(tmp_path / "scores.csv", "score,label,domain", SCORES, LABELS, DOMAINS)
    status, (result,), _ = command("evaluate", table)
    assert status == 0 and result["official_score"] == dcase_score(SCORES, LABELS, DOMAINS)["official_score"]


def test_when_labels_are_in_another_table_then_files_find_theirs(tmp_path, command):
    names = [f"{index}.wav" for index in range(6)]
    scores = write_table(tmp_path / "scores.csv", "file,score", [f"/x/{name}" for name in names], SCORES)
    words = ["anomaly" if label else "normal" for label in LABELS]
    labels = write_table(tmp_path / "labels.csv", "file,label", reversed(names), reversed(words))
    status, (result,), _ = command("evaluate", scores, "--labels", labels)
    assert status == 0 and result["official_score"] == dcase_score(SCORES, LABELS)["official_score"]
    assert result["auc_source"] is None


def test_when_file_names_are_those_of_dcase_then_they_tell_labels_domains_and_machines(tmp_path, command):
    files = [
        f"data/{machine}/test/section_00_{domain}_test_{'anomaly' if label else 'normal'}_{index:04d}_x.wav"
        for machine in ("fan", "pump")
        for index, (domain, label) in enumerate(zip(DOMAINS, LABELS, strict=True))
    ]
    table = write_table(tmp_path / "scores.csv", "file,score", files, SCORES * 2)
    status, (result,), _ = command("evaluate", table)
    expected = dcase_score(SCORES * 2, LABELS * 2, DOMAINS * 2, ["fan"] * 6 + ["pump"] * 6)
    assert status == 0 and result["official_score"] == expected["official_score"]
    assert list(result["machines"]) == ["fan", "pump"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("file,value\na.wav,1", "has no column score"),
        ("file,score\na.wav,1", "a.wav tells none as DCASE names do"),
        ("score,label\nhigh,1", "line 2: the score 'high' is not a number"),
        ("score,label\n1,maybe", "line 2: the label 'maybe' is not valid"),
    ],
)
def test_when_a_table_is_not_complete_then_error_names_it(tmp_path, command, text, named):
    (tmp_path / "scores.csv").write_text(text)
    status, _, errors = command("evaluate", tmp_path / "scores.csv")
    assert status == 2 and named in errors.splitlines()[-1]


def test_when_a_folder_has_dcase_names_then_a_detector_scores_it(tmp_path, write_clip, command):
    names = [f"train/section_00_{d}_train_normal_{i:04d}_x" for d in ("source", "target") for i in range(3)]
    labels = ("normal", "anomaly")
    names += [f"test/section_00_{d}_test_{c}_{i:04d}_x" for d in ("source", "target") for c in labels for i in (0, 1)]
    for seed, name in enumerate(names):
        write_clip(tmp_path / "fan" / f"{name}.wav", seed, "anomaly" in name and seed % 2 == 0)
    options = ("--backend", "whitened", "--setting", "normalization=none")
    status, (result,), _ = command("evaluate", tmp_path, *options)
    detector = AnomalyDetector.from_pretrained(backend="whitened", normalization="none")
    scores = detector.fit(tmp_path / "fan" / "train").score(tmp_path / "fan" / "test")
    files = sorted(path.name for path in (tmp_path / "fan" / "test").iterdir())
    expected = dcase_score(
        scores, ["anomaly" in name for name in files], ["target" if "target" in name else "source" for name in files]
    )
    assert status == 0 and np.isclose(result["official_score"], expected["official_score"])


def test_when_tests_cannot_be_read_then_the_error_names_all_of_them(tmp_path, write_clip, command):
    for seed, name in enumerate(("train_normal_0000", "train_normal_0001", "test_normal_0000", "test_anomaly_0000")):
        folder = tmp_path / "fan" / name.split("_")[0]
        write_clip(folder / f"section_00_source_{name}_x.wav", seed)
    for name in ("normal_0007", "anomaly_0008"):
        (tmp_path / "fan" / "test" / f"section_00_source_test_{name}_x.wav").write_text("no sound")
    status, _, errors = command("evaluate", tmp_path)
    assert status == 2
    assert all(
        part in errors.splitlines()[-1] for part in ("2 of 4 tests cannot be read", "normal_0007", "anomaly_0008")
    )


def test_when_a_submission_lacks_its_ground_truth_then_status_is_3(tmp_path, command):
    (tmp_path / "anomaly_score_fan_section_00_test.csv").touch()
    status, _, errors = command("evaluate", tmp_path)
    assert status == 3 and "a submission needs --ground-truth and --year" in errors
