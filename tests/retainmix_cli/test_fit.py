"""References become a detector folder: sessions, conditions, settings, added references, many machines at once."""

import shutil

import pytest

from modeling_retainmix import AnomalyDetector
from retainmix_cli.app import run


def test_when_sessions_and_conditions_are_told_then_the_detector_knows_them(machine, command, tmp_path):
    rows = [f"{name}.wav,{'cold' if name in ('04', '10') else 'usual'}" for name in map("{:02d}".format, range(12))]
    (tmp_path / "conditions.csv").write_text("\n".join(["file,condition", *rows]))
    status, records, _ = command(
        *("fit", machine / "healthy", "--output", tmp_path / "detector", "--sessions", "folder"),
        *("--group", f"{tmp_path}/conditions.csv:condition", "--backend", "knn", "--setting", "k=2"),
    )
    (record,) = records
    assert status == 0 and record["detector"] == str(tmp_path / "detector")
    assert (record["references"], record["of_changed_conditions"], record["sessions"]) == (12, 2, 2)
    assert record["smallest_false_alarm_rate"] == pytest.approx(1 / 3)
    saved = AnomalyDetector.from_pretrained(tmp_path / "detector")
    assert [index for index, domain in enumerate(saved.reference_domains) if domain == "target"] == [4, 10]
    assert (saved.settings.backend, saved.settings.k) == ("knn", 2)


def test_when_there_is_one_reference_then_it_says_that_there_are_no_verdicts(machine, tmp_path, capsys):
    one = machine / "healthy" / "monday" / "00.wav"
    assert run(["fit", str(one), "-o", str(tmp_path / "detector"), "--backend", "whitened"]) == 0
    assert "1 reference, a ranking, but no verdicts: add references" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["healthy/monday", "today"])
def test_when_the_output_holds_recordings_then_nothing_is_written_there(machine, name, command):
    before = sorted(machine.rglob("*"))
    status, _, errors = command("fit", machine / "healthy", "--output", machine / name)
    assert status == 2 and "holds other files: name a new folder with --output" in errors.splitlines()[-1]
    assert sorted(machine.rglob("*")) == before


def test_when_references_are_added_then_the_others_stay(detector, write_clip, command, tmp_path):
    new = write_clip(tmp_path / "new.wav", 50)
    status, (record,), _ = command("fit", new, "--add", "--output", detector, "--group", "target")
    assert (status, record["references"], record["of_changed_conditions"]) == (0, 13, 1)
    status, _, errors = command("fit", new, "--add", "--output", detector, "--backend", "knn")
    assert status == 3 and "--add keeps the encoder and the settings" in errors


def test_when_healthy_recordings_are_held_out_then_thresholds_come_from_them(machine, command, tmp_path):
    where = machine / "healthy"
    arguments = ("fit", where / "monday", "--held-out", where / "tuesday", "--output", tmp_path / "d")
    status, (record,), _ = command(*arguments, "--backend", "whitened")
    assert status == 0 and record["references"] == 6
    assert record["smallest_false_alarm_rate"] == pytest.approx(1 / 13)  # both, as six are too few for 10 %


def test_when_a_folder_holds_machines_then_each_gets_its_detector(machine, command, tmp_path):
    for name in ("fan/train", "pump"):
        shutil.copytree(machine / "healthy" / "monday", tmp_path / "plant" / name)
    status, records, _ = command("fit", tmp_path / "plant", "--machines", "-o", tmp_path / "all", "--backend", "knn")
    assert status == 0 and [record["machine"] for record in records] == ["fan", "pump"]
    for name in ("fan", "pump"):
        assert len(AnomalyDetector.from_pretrained(tmp_path / "all" / name).reference_names) == 6
    status, _, errors = command("fit", tmp_path / "plant", machine, "--machines", "-o", tmp_path / "all")
    assert status == 3 and "--machines takes one folder" in errors


def test_when_a_reference_cannot_be_read_then_status_is_2_and_an_earlier_detector_stays(detector, machine, command):
    before = (detector / "references.safetensors").read_bytes()
    broken = machine / "broken"
    broken.mkdir()
    (broken / "a.wav").write_bytes(b"no sound")
    try:
        status, records, errors = command("fit", broken, "--output", detector)
    finally:
        shutil.rmtree(broken)
    assert status == 2 and records == [] and "a.wav cannot be decoded" in errors.splitlines()[-1]
    assert (detector / "references.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--channel", "left", "'left' is neither an index from 0 nor mean"),
        ("--setting", "k", "'k' is not of the form NAME=VALUE"),
    ],
)
def test_when_an_option_has_no_valid_value_then_status_is_3(machine, command, option, value, named):
    status, _, errors = command("fit", machine / "healthy", option, value)
    assert status == 3 and named in errors


def test_when_a_setting_does_not_exist_then_status_is_2_and_it_is_named(machine, command, tmp_path):
    status, _, errors = command("fit", machine / "healthy", "--setting", "kk=1", "--output", tmp_path / "detector")
    assert status == 2 and "kk" in errors.splitlines()[-1]
