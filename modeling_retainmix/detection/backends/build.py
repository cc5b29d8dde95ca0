"""The backends by their names, and which references they are fitted to."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from modeling_retainmix.detection.backends.base import Backend, References
from modeling_retainmix.detection.backends.density import DensityBackend
from modeling_retainmix.detection.backends.fusion import FusionBackend
from modeling_retainmix.detection.backends.knn import KnnBackend
from modeling_retainmix.detection.backends.mahalanobis import MahalanobisBackend
from modeling_retainmix.detection.backends.pca import PcaBackend
from modeling_retainmix.detection.backends.subband import SubbandBackend
from modeling_retainmix.detection.backends.varmin import VarMinBackend
from modeling_retainmix.detection.backends.whitened import WhitenedBackend
from modeling_retainmix.user_warnings import warn

BACKENDS: dict[str, type[Backend]] = {
    "knn": KnnBackend,
    "whitened": WhitenedBackend,
    "subband": SubbandBackend,
    "varmin": VarMinBackend,
    "density": DensityBackend,
    "mahalanobis": MahalanobisBackend,
    "pca": PcaBackend,
    "fusion": FusionBackend,
}


def backend_options(name: str) -> list[str]:
    """List the fields of `DetectorSettings` that a backend reads: its parameters beside references and domain."""
    parameters = inspect.signature(BACKENDS[name]).parameters
    return [parameter for parameter in parameters if parameter not in ("references", "domain")]


def build_backend(name: str, references: References, domain: str, settings: Mapping[str, Any]) -> Backend:
    """Fit the backend of this name to one domain.

    Args:
        name: a key of `BACKENDS`.
        references: of all domains.
        domain: one that has references.
        settings: values by the names of `DetectorSettings`; those that the backend does not read may be there.

    Raises:
        ValueError: "subband" or "varmin", and vectors that do not divide into bands.
    """
    backend: Any = BACKENDS[name]
    return backend(references, domain, **{option: settings[option] for option in backend_options(name)})


def pool_domains(references: References, settings: Mapping[str, Any]) -> References:
    """Make both domains one where the settings or the backend want it, or where one of them has too few recordings.

    A domain has too few if they are fewer than the backend's `needed_recordings`, or than 3 for two microphones whose
    distances are fused, which standardizes both. Pooled references all are of the domain that has more recordings, or
    of the source domain.

    Args:
        references: of all domains.
        settings: values by the names of `DetectorSettings`.

    Warns:
        UserWarning: a domain has too few recordings.
    """
    backend = BACKENDS[settings["backend"]]
    if len(references.domains) == 1:
        return references
    needed = max(backend.needed_recordings(settings), 3 if settings["microphones"] == "fusion" else 1)
    counts = {domain: references.num_recordings(domain) for domain in references.domains}
    largest = max(counts, key=lambda domain: counts[domain])
    pooled = replace(references, is_target_domain=torch.full_like(references.is_target_domain, largest == "target"))
    if backend.pools_domains or settings["bank"] == "shared":
        return pooled
    small = [f"the {domain} domain has {count}" for domain, count in counts.items() if count < needed]
    if not small:
        return references
    # It would keep the domains apart, and have a covariance.
    whitened_needs = WhitenedBackend.needed_recordings(settings)
    helps = settings["microphones"] != "fusion" and whitened_needs <= min(counts.values()) and max(counts.values()) > 1
    other_cure = " or use backend='whitened'" if helps else ""
    warn(
        f"too few recordings for backend={settings['backend']!r}, which needs {needed} of each domain ("
        f"{', '.join(small)}): both domains are pooled, add references{other_cure}"
    )
    return pooled
