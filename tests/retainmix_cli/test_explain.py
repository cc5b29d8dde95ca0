"""A recording becomes a picture and sentences."""


def test_when_a_fault_is_explained_then_a_picture_and_the_whistle_are_shown(machine, fitted, command, tmp_path):
    picture = tmp_path / "new" / "map.png"
    status, events, errors = command("explain", machine / "today" / "1.wav", "-d", fitted, "-o", picture)
    assert status == 0 and picture.read_bytes().startswith(b"\x89PNG")
    (whistle, *_) = [event for event in events if event["low_hz"] < 1800 < event["high_hz"]]
    assert whistle["strength"] > 4 and "ore energy from 1.6 to 2.0 kHz" in whistle["sentence"]
    count = "1 event" if len(events) == 1 else f"{len(events)} events"
    assert errors.splitlines()[-1] == f"{count}; the picture is in {picture}"


def test_when_a_page_is_asked_for_then_it_holds_player_and_sentences_and_there_is_no_picture(
    machine, fitted, command, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    status, events, errors = command("explain", machine / "today" / "1.wav", "-d", fitted, "--html", "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert status == 0 and events and all(event["sentence"] in page for event in events)
    assert "The recording is anomalous" in page and page.count("<audio") == 1
    assert errors.splitlines()[-1].endswith("; the page is page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_when_json_is_asked_for_without_an_output_then_no_picture_is_written(
    machine, fitted, command, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    status, events, _ = command("explain", machine / "today" / "1.wav", "-d", fitted)
    assert status == 0 and events and list(tmp_path.iterdir()) == []


def test_when_a_folder_is_explained_then_the_command_for_folders_is_named(machine, fitted, command):
    status, _, errors = command("explain", machine / "today", "-d", fitted)
    assert (
        status == 2
        and f"today is a folder: name one recording, or see many with `retainmix report {machine}" in errors
    )


def test_when_nothing_is_louder_or_quieter_then_no_event_says_nothing_of_the_score(machine, fitted, command):
    status, events, errors = command("explain", machine / "healthy" / "monday" / "00.wav", "-d", fitted)
    assert (status, events) == (0, []) and "0 events, which says nothing of the score" in errors


def test_when_the_recording_is_missing_then_status_is_2(fitted, command, tmp_path):
    status, _, errors = command("explain", tmp_path / "absent.wav", "-d", fitted, "-o", tmp_path / "map.png")
    assert status == 2 and "absent.wav does not exist" in errors.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
