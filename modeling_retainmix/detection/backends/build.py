"""The backends by their names."""

import inspect
from collections.abc import Mapping
from typing import Any

from modeling_retainmix.detection.backends.base import Backend, References
from modeling_retainmix.detection.backends.density import DensityBackend
from modeling_retainmix.detection.backends.fusion import FusionBackend
from modeling_retainmix.detection.backends.knn import KnnBackend
from modeling_retainmix.detection.backends.mahalanobis import MahalanobisBackend
from modeling_retainmix.detection.backends.pca import PcaBackend
from modeling_retainmix.detection.backends.subband import SubbandBackend

BACKENDS: dict[str, type[Backend]] = {
    "knn": KnnBackend,
    "subband": SubbandBackend,
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
        ValueError: too few references for this backend.
    """
    backend: Any = BACKENDS[name]
    return backend(references, domain, **{option: settings[option] for option in backend_options(name)})
