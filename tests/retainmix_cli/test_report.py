"""`retainmix report`: a page, one line, and the status of what was found."""

import pytest


@pytest.fixture
def report(command, fitted, tmp_path):
    """Report on recordings; return status, JSON record or None, standard error, and the page or None."""

    def report(*arguments):
        output = tmp_path / "new" / "page.html"
        status, records, errors = command("report", *arguments, "--detector", fitted, "--output", output)
        page = output.read_text(encoding="utf-8") if output.exists() else None
        return status, records[0] if records else None, errors, page

    return report


def test_when_nothing_is_anomalous_then_status_is_0(report, machine):
    status, record, _, page = report(machine / "healthy" / "monday")
    assert status == 0 and (record["recordings"], record["anomalous"], record["missing_references"]) == (6, 0, 0)
    assert "None of 6 recordings is anomalous" in page


def test_when_one_is_anomalous_then_status_is_1_and_the_page_says_so(report, machine):
    status, record, _, page = report(machine / "today" / "0.wav", machine / "today" / "1.wav", "--max-details", 1)
    assert status == 1 and (record["recordings"], record["anomalous"], record["unreadable"]) == (2, 1, [])
    assert "1 of 2 recordings is anomalous" in page and page.count("<audio") == 1


def test_when_one_cannot_be_read_then_status_is_2_and_the_page_has_the_others(report, machine, tmp_path):
    (tmp_path / "damaged.wav").write_bytes(b"RIFF1234WAVE")
    status, record, errors, page = report(tmp_path / "damaged.wav", machine / "today" / "1.wav")
    assert status == 2 and record["recordings"] == 1 and "damaged.wav" in record["unreadable"][0]
    assert "1 of 2 recordings could not be read" in errors and "could not be read" in page


def test_when_the_output_is_a_folder_then_status_is_2(command, machine, fitted, tmp_path):
    status, _, errors = command("report", machine / "today", "--detector", fitted, "--output", tmp_path)
    assert status == 2 and f"{tmp_path} is a folder: give the name of a file" in errors


def test_when_a_recording_is_missing_then_status_is_2_and_there_is_no_page(report, tmp_path):
    status, _, errors, page = report(tmp_path / "absent.wav")
    assert status == 2 and page is None and "absent.wav does not exist" in errors
