"""The domain of each reference clip."""

from collections.abc import Sequence
from pathlib import Path

from modeling_retainmix.data.layouts.dcase_sections import parse_dcase_name
from modeling_retainmix.detection.backends.knn import DOMAINS


def reference_domains(names: Sequence[str], domains: Sequence[str] | None) -> Sequence[str]:
    """The domain of each reference, "source" or "target".

    Args:
        names: of the clips.
        domains: as the user gave them; None: what the names tell where all are DCASE names, or else one domain.

    Raises:
        ValueError: their number is not that of the clips, or one is unknown.
    """
    if domains is None:
        parsed = [parse_dcase_name(Path(name).stem) or {"domain": ""} for name in names]
        told = [parts["domain"] for parts in parsed]
        return told if all(told) else ["source"] * len(names)
    if len(domains) != len(names):
        raise ValueError(f"{len(domains)} domains for {len(names)} references: pass one for each clip")
    for name, domain in zip(names, domains, strict=True):
        if domain not in DOMAINS:
            raise ValueError(f"{name} has domain {domain!r}: use 'source' or 'target'")
    return domains
