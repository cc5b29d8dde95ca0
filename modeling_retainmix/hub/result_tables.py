"""The results of a run as Markdown: the table of the systems, the table by machine type, the protocol in words.

All of it reads records as `results.json` holds them; rows are found by their `key`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from modeling_retainmix import markdown

# Keys of the rows that cards describe
TRAINED_MODEL = "trained"
TEACHER_AT_SAME_LAYER = "frozen_same_layer"


def row_of(results: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the row of a system.

    Args:
        results: content of `results.json`.
        key: of the system.

    Raises:
        ValueError: no row has that key.
    """
    for row in results["rows"]:
        if row["key"] == key:
            return row
    raise ValueError(f"the results have rows {[row['key'] for row in results['rows']]}, not {key!r}: evaluate again")


def markdown_table(rows: Sequence[Mapping[str, Any]], protocol: Mapping[str, Any]) -> str:
    """Return the results as a table: a row per system, a column per subset and SNR, then the harmonic means."""
    snrs = [f"{snr_db:g}" for snr_db in protocol["snr_db"]]
    low = "{" + ", ".join(f"{snr_db:g}" for snr_db in protocol["low_snr_db"]) + "}"
    subsets = list(rows[0]["scores"])
    header = ["System", "Layer", *(f"{subset} {snr} dB" for subset in subsets for snr in snrs), f"Hmean {low}", "All"]
    lines = []
    for row in rows:
        cells = [row["scores"][subset][snr] for subset in subsets for snr in snrs]
        numbers = [f"{value:.1f}" for value in (*cells, row["hmean_low"], row["hmean_all"])]
        lines.append([row["name"], str(row["layer"] or "-"), *numbers])
    return markdown.table(header, lines, align="l" + "r" * (len(header) - 1))


def machine_table(row: Mapping[str, Any], protocol: Mapping[str, Any]) -> str:
    """Return the official scores of one system: a row per subset and machine type, a column per SNR."""
    snrs = [f"{snr_db:g}" for snr_db in protocol["snr_db"]]
    lines = []
    for subset, cells in row["per_machine"].items():
        for machine in cells[snrs[0]]:
            lines.append([subset, machine, *(f"{cells[snr][machine]['official_score']:.1f}" for snr in snrs)])
    header = ["Subset", "Machine type", *(f"{snr} dB" for snr in snrs)]
    return markdown.table(header, lines, align="ll" + "r" * len(snrs))


def protocol_sentence(protocol: Mapping[str, Any]) -> str:
    """Return the paragraph under a table: what was scored, and how."""
    roles: dict[str, set[int]] = {}
    for counts in protocol["clips"].values():
        for role, count in counts.items():
            roles.setdefault(role, set()).add(count)
    clips = ", ".join(
        f"{min(values) if len(values) == 1 else f'{min(values)} to {max(values)}'} {markdown.escape(role)}"
        for role, values in roles.items()
    )
    reuse = protocol["noise_segments_reused"]
    rule = protocol["normalization"]
    domains = protocol.get("domains", ("source", "target"))  # older records do not name them
    rules = protocol.get("rules", 2023)
    parts = "AUC and pAUC"
    if len(domains) == 2 and rules != 2020:
        parts = "AUC and pAUC of each domain" if rules == 2021 else "source AUC, target AUC and pAUC"
    between = "no normalization" if rule == "none" else f"normalization {markdown.code_span(rule)}"
    unit = "section" if any("/" in name for name in protocol["clips"]) else "machine type"
    return (
        f"Official score in % ({'arithmetic' if rules == 2020 else 'harmonic'} mean of {parts} over "
        f"{len(protocol['clips'])} {unit}{'s' if len(protocol['clips']) > 1 else ''}), "
        f"protocol {markdown.code_span(protocol['name'])}, clips of {protocol['clip_seconds']:g} s; "
        f"per {unit} {clips}; "
        f"K = {protocol['k']}, {between} between domains; "
        + (f"MemMixup with {protocol['mix_support']} neighbors; " if protocol.get("mix_support") else "")
        + (f"{reuse} noise segments used more than once." if reuse else "no noise segment used twice in a subset.")
    )
