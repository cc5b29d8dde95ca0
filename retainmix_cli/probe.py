"""What an environment holds, found out by a process of its own: a package that crashes takes nothing else down.

Run as a program with names of modules, this file imports one after another and prints a line of JSON for each, before
and after, then one about devices and memory.
"""

import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

_SECONDS = 900  # torch from a slow disk, or on a busy PC, takes minutes


def probe(modules: Sequence[str]) -> tuple[dict[str, str | None], dict[str, Any]]:
    """Import modules.

    Args:
        modules: names.

    Returns:
        {module: why it does not load, in one line; None: it does}, and what the loaded ones tell of the machine:
        `gpus` (names), `cuda` (version that torch is built for, or None), `memory_gib` and `free_memory_gib`,
        `sound_formats`; a key is missing where its module is.
    """
    causes: dict[str, str | None] = {}
    machine: dict[str, Any] = {}
    waiting = list(modules)
    while waiting:
        command = [sys.executable, "-P", __file__, *waiting]  # -P: nothing of the folder where the user stands
        started = None
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
            output, ended = run.stdout, f"the process ends with status {run.returncode}"
        except subprocess.TimeoutExpired as error:
            output, ended = _text(error.stdout), f"it takes longer than {_SECONDS} s"
        for line in output.splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue  # a library prints
            if "start" in record:
                started = record["start"]
            elif "module" in record:
                causes[record["module"]] = record["cause"]
                started = None
            else:
                machine = record["machine"]
        if started is None:
            break
        causes[started] = f"{ended} while it loads"
        waiting = waiting[waiting.index(started) + 1 :]
    return causes, machine


def _text(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def _import_all(modules: Sequence[str]) -> None:
    for name in modules:
        _print(start=name)
        try:
            importlib.import_module(name)
        except BaseException as error:  # whatever it is, it is what the user wants to know
            _print(module=name, cause=" ".join(f"{type(error).__name__}: {error}".split()))
        else:
            _print(module=name, cause=None)


def _machine() -> dict[str, Any]:
    """Devices, memory and formats, as far as the modules that know them are loaded."""
    found: dict[str, Any] = {}
    torch, psutil, soundfile = (sys.modules.get(name) for name in ("torch", "psutil", "soundfile"))
    if torch is not None:
        found["gpus"] = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        found["cuda"] = torch.version.cuda
    if psutil is not None:
        memory = psutil.virtual_memory()
        found |= {"memory_gib": memory.total / 2**30, "free_memory_gib": memory.available / 2**30}
    if soundfile is not None:
        found["sound_formats"] = sorted(soundfile.available_formats())
    return found


def _print(**record: Any) -> None:
    print(json.dumps(record), flush=True)


if __name__ == "__main__":
    _import_all(sys.argv[1:])
    _print(machine=_machine())
