"""Recordings of one machine type in the layouts of DCASE Task 2 from 2021 on; MIMII DG and ToyADMOS2+ share them.

    <machine_type>/train/section_<NN>_<domain>_train_normal_<nnnn>[_<attributes>].wav
    <machine_type>/test/section_<NN>_<domain>_test_<normal or anomaly>_<nnnn>[_<attributes>].wav
    <machine_type>/test/section_<NN>_<nnnn>.wav                           evaluation sets from 2022 on
    <machine_type>/<domain>_test/section_<NN>_<domain>_test_...<nnnn>.wav   2021, evaluation set without label
    <machine_type>/supplemental/...noise... or ...machine...              2025: noise alone, or clean machine

Recordings of 2026 have two channels, near and far, which `decode_table` and the detector choose by `channel=`; in the
detector `far_channel=` reads both. Those of the evaluation set last 6, 10 or 16 s.
"""

import re
from pathlib import Path

from modeling_retainmix.audio_files import list_audio_files
from modeling_retainmix.data.layouts.columns import SUPPLEMENTAL

NEAR_CHANNEL, FAR_CHANNEL = 0, 1  # of recordings of 2026
NO_ATTRIBUTE = "noAttribute"  # what machines without attributes have in their names from 2024 on
FOLDERS_OF_2021 = {"source_test", "target_test"}
TEST_FOLDERS = {"test": None, "source_test": "source", "target_test": "target"}

_NAME = re.compile(
    r"section_(?P<section>\d+)(?:_(?P<domain>source|target))?(?:_(?P<split>train|test))?"
    r"(?:_(?P<label>normal|anomaly))?_\d+(?:_(?P<attributes>.*))?"
)
_REFERENCE_RULE = "section_<NN>_<source|target>_train_normal_<nnnn>[_<attributes>]"
_TEST_RULE = (
    "section_<NN>_<source|target>_test_<normal|anomaly>_<nnnn>[_<attributes>], in evaluation sets section_<NN>_<nnnn>"
)
_CURE = "rename or move it, or list all recordings in a metadata.csv"


def read_dcase_sections(machine: Path) -> list[dict[str, str]]:
    """List the recordings of a machine type: references, tests and supplemental ones.

    Returns:
        Rows of a table of recordings, sorted by path within split. `label` and `domain` are empty where the name does
        not tell them. Supplemental recordings have the split "supplemental" and the label "normal" (the machine
        without noise) or "noise" (no machine).

    Raises:
        ValueError: an empty folder, a file that breaks the naming rule or lies in the wrong folder.
    """
    rows = []
    if (machine / "train").is_dir():
        rows += [_reference(path) for path in list_audio_files(machine / "train")]
    for folder, domain in TEST_FOLDERS.items():
        if (machine / folder).is_dir():
            rows += [_test(path, domain) for path in list_audio_files(machine / folder)]
    if (machine / SUPPLEMENTAL).is_dir():
        rows += [_supplemental(path) for path in list_audio_files(machine / SUPPLEMENTAL)]
    return [{"machine_type": machine.name, "factory": "", "fault": "", **row} for row in rows]


def parse_dcase_name(stem: str) -> dict[str, str] | None:
    """Section, domain, split, label and attributes that a file name (without suffix) tells.

    What it does not tell is empty, as are the attributes of machines without any. The word `test` may be missing
    before a label, as it is for one machine type of 2024. None: it follows no rule.
    """
    match = _NAME.fullmatch(stem)
    if match is None:
        return None
    parts = match.groupdict(default="")
    anonymous = not parts["label"]
    if anonymous and (parts["split"] == "train" or match["attributes"] or (parts["domain"] and not parts["split"])):
        return None
    if not anonymous and not parts["domain"]:
        return None
    attributes = parts["attributes"]
    return parts | {"split": parts["split"] or "test", "attributes": "" if attributes == NO_ATTRIBUTE else attributes}


def _reference(path: Path) -> dict[str, str]:
    parts = parse_dcase_name(path.stem)
    if parts is None or (parts["split"], parts["label"]) != ("train", "normal"):
        raise ValueError(f"{path} breaks the naming rule of references, {_REFERENCE_RULE}: {_CURE}")
    return {"path": str(path), **parts}


def _test(path: Path, domain: str | None) -> dict[str, str]:
    parts = parse_dcase_name(path.stem)
    if parts is None or parts["split"] != "test":
        raise ValueError(f"{path} breaks the naming rule of tests, {_TEST_RULE}: {_CURE}")
    if domain is not None and parts["domain"] != domain:
        raise ValueError(
            f"{path} is not named as of the {domain} domain, to which its folder belongs: move or rename it"
        )
    return {"path": str(path), **parts}


def _supplemental(path: Path) -> dict[str, str]:
    # The published names differ in the order of their parts; these words are all that they share.
    kinds = [kind for kind in ("noise", "machine") if kind in path.stem]
    section = re.match(r"section_(\d+)_", path.stem)
    if section is None or len(kinds) != 1:
        raise ValueError(
            f"{path} breaks the naming rule of supplemental clips, section_<NN>_... with one of the words noise and "
            "machine: rename or remove it"
        )
    return {
        "path": str(path),
        "section": section[1],
        "domain": "target" if "_target_" in path.stem else "source",
        "split": SUPPLEMENTAL,
        "label": "noise" if kinds == ["noise"] else "normal",
        "attributes": "",
    }
