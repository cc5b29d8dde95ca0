"""How commands end: one line for a user's error, and a status of its own for each kind."""

from retainmix_cli.app import run


def test_when_an_option_is_unknown_then_status_is_3_and_it_is_named(capsys):
    assert run(["fit", "folder", "--nonsense"]) == 3
    assert "--nonsense" in capsys.readouterr().err


def test_when_references_are_missing_then_status_is_2_and_one_line_names_them(tmp_path, capsys):
    assert run(["fit", str(tmp_path / "missing"), "--output", str(tmp_path / "detector")]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ") and "missing" in last
