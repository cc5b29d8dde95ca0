"""Results are whole at their place, or as far as they came beside it."""

import os
import resource
import signal
import subprocess
import sys

import pytest

from modeling_retainmix.stoppable_csv import OutputError, ResultFile, Stopped, StopSignals


def test_rows_lie_beside_the_output_until_it_is_finished(tmp_path):
    output = tmp_path / "new" / "scores.csv"
    with ResultFile(output, ["file", "score"]) as result:
        result.write(["a, b.wav", 0.1 + 0.2])
        assert not output.exists() and result.partial.read_text().endswith('"a, b.wav",0.30000000000000004\n')
        assert result.describe() == f"1 row is kept in {output}.partial"
        result.finish()
    assert output.read_text() == 'file,score\n"a, b.wav",0.30000000000000004\n'
    assert os.listdir(output.parent) == ["scores.csv"]


def test_when_it_is_not_finished_then_the_earlier_output_stays_and_rows_are_kept(tmp_path):
    output = tmp_path / "scores.csv"
    output.write_text("before")
    with pytest.raises(KeyError), ResultFile(output, ["file"]) as result:
        result.write(["a"])
        raise KeyError
    assert output.read_text() == "before"
    assert result.partial.read_text() == "file\na\n"
    with ResultFile(output, ["file"]) as result:
        pass
    assert not result.partial.exists()  # no row, nothing to keep


def test_when_the_output_cannot_be_written_then_the_constructor_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    for path, message in (
        (tmp_path, "is a folder"),
        ("/dev/null", "/dev/null is not a regular file"),
        (tmp_path / "file" / "scores.csv", r"scores\.csv cannot be written \("),
        (tmp_path / ("a" * 300), "cannot be written"),
    ):
        with pytest.raises(OutputError, match=message):
            ResultFile(path, ["file"])
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_stays_a_link_and_names_keep_their_bytes(tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    with ResultFile(tmp_path / "link.csv", ["file"]) as result:
        result.write([os.fsdecode(b"\xff.wav")])
        result.finish()
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_bytes() == b"file\n\xff.wav\n"


def test_when_the_disk_is_full_then_whole_rows_stay(tmp_path):
    program = (
        "import sys\n"
        "from modeling_retainmix.stoppable_csv import OutputError, ResultFile, exit_incomplete\n"
        "with ResultFile(sys.argv[1], ['file']) as result:\n"
        "    try:\n"
        "        while True: result.write(['x' * 99])\n"
        "    except OutputError as error:\n"
        "        exit_incomplete(error, result)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "scores.csv")],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1234, 1234)),
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ") and "cannot be written (File too large)" in done.stderr
    assert "; 12 rows are kept in " in done.stderr and len(done.stderr.splitlines()) == 1
    assert (tmp_path / "scores.csv.partial").read_text() == "file\n" + 12 * f"{'x' * 99}\n"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_stop_the_block_and_handlers_come_back(number, status):
    before = signal.getsignal(number)
    with pytest.raises(Stopped, match=number.name) as stopped, StopSignals():
        signal.raise_signal(number)
        raise AssertionError("not stopped")
    assert stopped.value.status == status and signal.getsignal(number) == before


def test_a_signal_is_put_off_while_steps_belong_together():
    steps = []
    with pytest.raises(Stopped), StopSignals() as signals:
        with signals.hold():
            signal.raise_signal(signal.SIGTERM)
            steps.append("row")
        steps.append("next")
    assert steps == ["row"]
