"""What a person says of a recording becomes part of the saved detector, and is undone."""

import re
import shlex

from modeling_retainmix import AnomalyDetector
from retainmix_cli.app import run


def test_when_a_recording_is_confirmed_then_it_is_a_reference_until_it_is_undone(
    detector, write_clip, command, tmp_path
):
    new = write_clip(tmp_path / "new.wav", 70, is_faulty=True)
    status, (record,), _ = command("confirm", new, "--detector", detector, "--note", "Ada heard it")
    assert (status, record["confirmed"], record["references"]) == (0, "new.wav", 13)
    status, _, errors = command("confirm", new, "--detector", detector)
    assert status == 2 and "is the name of a reference already" in errors.splitlines()[-1]
    status, (record,), _ = command("undo", new, "--detector", detector)  # by its path; the log has its name
    assert (status, record["undone"], record["references"]) == (0, "new.wav", 12)
    log = AnomalyDetector.from_pretrained(detector).feedback_log
    assert [entry["action"] for entry in log] == ["confirmed normal", "undone"]
    assert log[0]["note"] == "Ada heard it"
    status, _, errors = command("undo", "00.wav", "--detector", detector)
    assert status == 2 and "00.wav is not confirmed as normal" in errors.splitlines()[-1]


def test_when_names_have_spaces_then_the_command_that_takes_it_back_can_be_pasted(
    detector, write_clip, tmp_path, capsys
):
    new = write_clip(tmp_path / "rec 1.wav", 71)
    place = detector.rename(detector.with_name("pump 7"))
    assert run(["confirm", str(new), "--detector", str(place)]) == 0
    (pasted,) = re.findall("`(.+)`", capsys.readouterr().out)
    assert run(shlex.split(pasted)[1:]) == 0
    assert run(["undo", "rec 1.wav", "--detector", str(place)]) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("no recording is confirmed")
