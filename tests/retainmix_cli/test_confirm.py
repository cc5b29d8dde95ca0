"""What a person says of a recording becomes part of the saved detector, and is undone."""

from modeling_retainmix import AnomalyDetector


def test_when_a_recording_is_confirmed_then_it_is_a_reference_until_it_is_undone(
    detector, write_clip, command, tmp_path
):
    new = write_clip(tmp_path / "new.wav", 70, is_faulty=True)
    status, (record,), _ = command("confirm", new, "--detector", detector, "--note", "Ada heard it")
    assert (status, record["confirmed"], record["references"]) == (0, "new.wav", 13)
    status, _, errors = command("confirm", new, "--detector", detector)
    assert status == 2 and "is the name of a reference already" in errors.splitlines()[-1]
    status, (record,), _ = command("undo", "new.wav", "--detector", detector)
    assert (status, record["undone"], record["references"]) == (0, "new.wav", 12)
    log = AnomalyDetector.from_pretrained(detector).feedback_log
    assert [entry["action"] for entry in log] == ["confirmed normal", "undone"]
    assert log[0]["note"] == "Ada heard it"
    status, _, errors = command("undo", "00.wav", "--detector", detector)
    assert status == 2 and "00.wav is not confirmed as normal" in errors.splitlines()[-1]
