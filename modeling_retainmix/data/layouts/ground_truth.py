"""Labels and domains of evaluation sets, merged from the official ground truth into tables of recordings."""

import os
from pathlib import Path

from modeling_retainmix.data.layouts.challenge_csv import Part, read_ground_truth
from modeling_retainmix.data.layouts.dcase_sections import parse_dcase_name


def merge_ground_truth(rows: list[dict[str, str]], root: str | os.PathLike[str]) -> list[dict[str, str]]:
    """Yield tests without a label theirs.

    Labels and domains are those of the official CSV files. Attributes come from the labelled name if one exists
    and it agrees with them (in 2022 many do not).

    Args:
        rows: of a table of recordings; tests whose `label` is empty are joined by machine type, section and file name.
        root: folder of the ground truth, as `read_ground_truth` has it: with `eval_data_list.csv` (2020), or
            `ground_truth_data` (2021) and `ground_truth_domain` (from 2022 on).

    Returns:
        The rows, in their order.

    Raises:
        FileNotFoundError: a file of the ground truth, or a recording that it lists for a section which is there.
        ValueError: no test lacks its label, or one is not in the ground truth, or a file breaks its format.
    """
    root = Path(root)
    clips = {
        (clip["machine_type"], clip["section"], Path(clip["file_name"]).stem): clip
        for clip in read_ground_truth(root, _year(root))
    }
    merged, found = [], set()
    for row in rows:
        if row["split"] != "test" or row["label"]:
            merged.append(row)
            continue
        key = row["machine_type"], row["section"], Path(row["path"]).stem
        if key not in clips:
            raise ValueError(f"{row['path']} is not in the ground truth in {root}: check year and machine type")
        found.add(key)
        label = "anomaly" if clips[key]["label"] else "normal"
        domain = clips[key]["domain"] or row["domain"]
        name = parse_dcase_name((clips[key]["labelled_name"] or "").removesuffix(".wav"))
        attributes = name["attributes"] if name and (name["label"], name["domain"]) == (label, domain) else ""
        merged.append(row | {"label": label, "domain": domain, "attributes": attributes})
    if not found:
        raise ValueError(f"no test lacks its label, but the ground truth {root} was given: leave it out")
    sections = {key[:2] for key in found}
    missing = [key for key in clips if key[:2] in sections and key not in found]
    if missing:
        machine_type, section, stem = missing[0]
        raise FileNotFoundError(
            f"{stem}.wav of {machine_type}, section {section}, is in the ground truth {root} but not among the tests "
            f"({len(missing)} such clips): complete the download"
        )
    return merged


def _year(root: Path) -> int:
    """A year whose file format the folder has."""
    data, domains = root / "ground_truth_data", root / "ground_truth_domain"
    if data.is_dir():
        if not domains.is_dir() and any(Part.parse(path.stem, 2021) is None for path in data.glob("*.csv")):
            raise FileNotFoundError(f"{domains} does not exist, but file names in {data} tell no domain: add it")
        return 2022 if domains.is_dir() else 2021
    if not (root / "eval_data_list.csv").is_file():
        raise FileNotFoundError(
            f"{root} holds neither ground_truth_data nor eval_data_list.csv: give the folder of the ground truth"
        )
    return 2020
