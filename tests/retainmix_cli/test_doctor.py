"""The report on standard output, and the status."""

import json

import pytest

from retainmix_cli.app import run
from retainmix_cli.installation import Finding

FINE = [Finding("torch", "ok", "2.14.1"), Finding("[onnx]", "note", "without onnx", "pip install 'retainmix[onnx]'")]


@pytest.mark.parametrize(
    ("findings", "status"), [(FINE, 0), ([*FINE, Finding("soxr", "fault", "missing", "pip install soxr")], 2)]
)
def test_when_the_installation_is_examined_then_faults_alone_make_status_2(monkeypatch, capsys, findings, status):
    monkeypatch.setattr("retainmix_cli.commands.doctor.examine", lambda _: findings)
    assert run(["doctor"]) == status
    printed = capsys.readouterr()
    assert printed.err.startswith("importing everything")
    assert "note  [onnx] without onnx" in printed.out and "-> pip install 'retainmix[onnx]'" in printed.out
    assert ("FAIL" in printed.out) == (status == 2)
    assert run(["doctor", "--json"]) == status
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["name"] for line in lines] == [finding.name for finding in findings]
    assert lines[1] == {"name": "[onnx]", "status": "note", "text": "without onnx", "cure": FINE[1].cure}
