"""Is this installation whole? What it declares, holds and can load; nothing of it is imported here."""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlparse

from retainmix_cli.probe import probe

Status = Literal["ok", "note", "fault"]

_MODULES = {  # of a distribution whose module has another name
    "paho-mqtt": "paho.mqtt.client",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "types-pyyaml": "",
}
_FOR_DEVELOPERS = ("dev", "benchmarks", "docs")  # extras of which nobody misses anything
_DEMO_DISK_GB, _DEMO_MEMORY_GIB = 1.2, 3.0  # what the demo takes, docs/training.md
_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[([\w., -]+)\])?\s*([^;]*)(?:;.*extra == ['\"]([\w-]+)['\"].*)?")


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: of what was looked at.
        status: "ok"; "note": something optional is missing or scarce; "fault": commands will fail.
        text: what was found.
        cure: the command or step that mends it; empty where there is nothing to mend.
    """

    name: str
    status: Status
    text: str
    cure: str = ""


@dataclass(frozen=True)
class _Requirement:
    name: str
    specifier: str
    extra: str  # that brings it; empty: the package itself needs it

    @property
    def module(self) -> str:
        return _MODULES.get(self.name.lower(), self.name.replace("-", "_"))


def examine(cache_dir: Path, importer: Callable[[Sequence[str]], Any] = probe) -> list[Finding]:
    """Look at versions, extras, devices, disk and memory.

    Args:
        cache_dir: where data and models are kept.
        importer: imports modules, as `probe` does.
    """
    findings = [Finding("python", "ok", f"{sys.version.split()[0]}, {sys.executable}")]
    try:
        package = distribution("retainmix")
    except PackageNotFoundError:
        cure = "pip install -e . in the root of the checkout"
        return [*findings, Finding("retainmix", "fault", "not installed: nobody can say what it needs", cure)]
    findings.append(Finding("retainmix", "ok", f"{package.version}, {_place(package) or 'installed'}"))
    requirements = _requirements(package)
    installed = {one.name: _version(one.name) for one in requirements}
    causes, machine = importer([one.module for one in requirements if installed[one.name] is not None])
    findings += [_dependency(one, installed, causes, package) for one in requirements if not one.extra]
    findings += _extras(requirements, installed, causes, package)
    return [*findings, *_sound(machine), *_devices(machine), *_memory(machine), _disk(cache_dir)]


def _requirements(package: Distribution) -> list[_Requirement]:
    """What the package and its extras need; extras that are other extras joined are left out."""
    found = []
    for line in package.requires or ():
        match = _REQUIREMENT.match(line)
        if match is not None and match[1] != package.metadata["Name"] and match[4] not in _FOR_DEVELOPERS:
            found.append(_Requirement(match[1], match[3].strip(), match[4] or ""))
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _dependency(
    one: _Requirement, installed: Mapping[str, str | None], causes: Mapping[str, str | None], package: Distribution
) -> Finding:
    found, cause = installed[one.name], causes.get(one.module)
    if found is None:
        return Finding(one.name, "fault", f"missing, {one.specifier} is needed", _install(package))
    if cause is not None:
        return Finding(one.name, "fault", f"{found} does not load ({cause})", _reload(one.name, installed))
    if not _fits(found, one.specifier):
        return Finding(one.name, "fault", f"{found}, {one.specifier} is needed", _install(package))
    return Finding(one.name, "ok", found)


def _extras(
    requirements: Sequence[_Requirement],
    installed: Mapping[str, str | None],
    causes: Mapping[str, str | None],
    package: Distribution,
) -> Iterator[Finding]:
    for extra in dict.fromkeys(one.extra for one in requirements if one.extra):
        parts = [_dependency(one, installed, causes, package) for one in requirements if one.extra == extra]
        faults = [part for part in parts if part.status == "fault"]
        missing = [part.name for part in faults if installed[part.name] is None]
        if missing:
            text = f"without {', '.join(missing)}"
            yield Finding(f"[{extra}]", "note", text, _install(package, extra))
        elif faults:
            yield Finding(f"[{extra}]", "fault", f"{faults[0].name} {faults[0].text}", faults[0].cure)
        else:
            yield Finding(f"[{extra}]", "ok", ", ".join(f"{part.name} {part.text}" for part in parts))


def _sound(machine: Mapping[str, Any]) -> Iterator[Finding]:
    if "sound_formats" in machine:
        lacking = [name for name in ("MP3", "FLAC", "OGG") if name not in machine["sound_formats"]]
        text = f"an old libsndfile without {', '.join(lacking)}" if lacking else "WAV, FLAC, OGG, MP3 and more"
        cure = "pip install --force-reinstall --only-binary :all: soundfile" if lacking else ""
        yield Finding("sound files", "note" if lacking else "ok", text, cure)


def _devices(machine: Mapping[str, Any]) -> Iterator[Finding]:
    cores = f"{os.cpu_count()} cores"
    if "gpus" not in machine:
        yield Finding("devices", "ok", cores)
    elif machine["gpus"]:
        yield Finding("devices", "ok", f"{', '.join(machine['gpus'])}; {cores}")
    else:
        built = f"torch is built for CUDA {machine['cuda']}" if machine["cuda"] else "torch is built for the CPU alone"
        yield Finding("devices", "ok", f"{cores}, no GPU ({built})")


def _memory(machine: Mapping[str, Any]) -> Iterator[Finding]:
    if "memory_gib" in machine:
        text = f"{machine['free_memory_gib']:.1f} of {machine['memory_gib']:.1f} GiB free"
        if machine["free_memory_gib"] < _DEMO_MEMORY_GIB:
            text += f"; the demo takes {_DEMO_MEMORY_GIB} GiB"
            yield Finding("memory", "note", text, "close other programs, or train with a smaller batch size")
        else:
            yield Finding("memory", "ok", text)


def _disk(cache_dir: Path) -> Finding:
    there = next(folder for folder in (cache_dir, *cache_dir.parents) if folder.is_dir())
    free = shutil.disk_usage(there).free / 1e9
    text = f"{free:.1f} GB free in {cache_dir}"
    if not os.access(there, os.W_OK):
        return Finding("disk", "fault", f"{there} cannot be written", "set HF_HOME to a folder that can be")
    if free < _DEMO_DISK_GB:
        return Finding("disk", "note", f"{text}; the demo takes {_DEMO_DISK_GB} GB", "make room, or set HF_HOME")
    return Finding("disk", "ok", text)


def _fits(found: str, specifier: str) -> bool:
    try:
        from packaging.specifiers import SpecifierSet
    except ImportError:
        return True  # it comes with transformers, which is then reported itself
    return SpecifierSet(specifier).contains(found, prereleases=True)


def _install(package: Distribution, extra: str = "") -> str:
    """The command that brings what is missing, from where the package came."""
    wanted = f"[{extra}]" if extra else ""
    place = _place(package)
    return f"pip install -e '{place}{wanted}'" if place else f"pip install 'retainmix{wanted}'"


def _place(package: Distribution) -> str:
    """The checkout of an editable installation; empty: another one."""
    origin = json.loads(package.read_text("direct_url.json") or "{}")
    return unquote(urlparse(origin["url"]).path) if origin.get("dir_info", {}).get("editable") else ""


def _reload(name: str, installed: Mapping[str, str | None]) -> str:
    """The command that mends a package which does not load."""
    audio = installed.get("torchaudio")
    if name == "torchaudio" and audio is not None:
        release = ".".join(audio.split("+")[0].split(".")[:2])
        pair = f"'torch=={release}.*' 'torchaudio=={release}.*'"
        return f"pip install {pair}: of one release, and from one index, where torch is a CPU-only one"
    return f"pip install --force-reinstall {name}"
