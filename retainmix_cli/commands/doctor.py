"""`retainmix doctor`: whether this installation is whole, and the command that mends it."""

import os
from dataclasses import asdict
from pathlib import Path

from retainmix_cli import exit_codes
from retainmix_cli.installation import examine
from retainmix_cli.output import Json, say, show

_SIGNS = {"ok": "ok  ", "note": "note", "fault": "FAIL"}


def doctor(json: Json = False) -> int:
    """Check versions, extras, devices, memory and disk; status 2 where commands will fail.

    Optional parts that are missing are notes. Every line that has something to mend says how.
    """
    say("importing everything that retainmix needs, in a process of its own; this takes some seconds")
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    findings = examine(home)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        cure = f"\n{'':{width + 7}}-> {finding.cure}" if finding.cure else ""
        show(asdict(finding), f"{_SIGNS[finding.status]}  {finding.name:{width}} {finding.text}{cure}", json)
    faults = sum(finding.status == "fault" for finding in findings)
    say(f"{faults} faults" if faults else "nothing is broken")
    return exit_codes.FAILED if faults else exit_codes.NORMAL
