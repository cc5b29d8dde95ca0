"""Two microphones: a near one, and a far one that mostly hears the surroundings.

If the encoder retains mixtures, the embedding of the near clip is about a weighted mean of those of machine and
noise. Taking a share of the far clip's embedding away leaves more of the machine: the residual near - a * far.
"""

from dataclasses import replace

import torch

from modeling_retainmix.detection.backends.base import Backend, References
from modeling_retainmix.detection.backends.build import build_backend
from modeling_retainmix.detection.backends.fusion import SmallestStandardized
from modeling_retainmix.detection.backends.grouped import grouped_backends
from modeling_retainmix.detection.settings import DetectorSettings


class ResidualBackend(Backend):
    """A backend of residuals, which takes queries [n, 2 * D], near and far end to end.

    Args:
        backend: on residuals of the references.
        far_weight: a.
    """

    def __init__(self, backend: Backend, far_weight: float) -> None:
        super().__init__(backend.references, backend.domain)
        self.lower_bound = backend.lower_bound
        self._backend, self._far_weight = backend, far_weight

    def distance(self, queries: torch.Tensor) -> torch.Tensor:
        return self._backend.distance(residual(queries, self._far_weight))

    def leave_one_out(self) -> torch.Tensor:
        return self._backend.leave_one_out()

    def reference_distances(self) -> torch.Tensor:
        return self._backend.reference_distances()


def residual(vectors: torch.Tensor, far_weight: float) -> torch.Tensor:
    """Return near - far_weight * far, [n, D], of vectors [n, 2 * D] that hold both end to end."""
    near, far = vectors.chunk(2, dim=1)
    return near - far_weight * far


def build_backends(settings: DetectorSettings, references: References) -> dict[str, Backend]:
    """Fit the backend of `settings.backend` to every domain, for `settings.microphones`.

    The microphones "fusion" combine the backends of the near vectors and of the residuals by `SmallestStandardized`.

    Args:
        settings: of the detector.
        references: with vectors [n, D], or [n, 2 * D] where `settings.has_two_vectors`.

    Returns:
        {domain: backend}, source first.

    Raises:
        ValueError: too few references for this backend.
    """

    def backends(vectors: References) -> dict[str, Backend]:
        values = settings.to_dict()

        def build(part: References, domain: str) -> Backend:
            return build_backend(settings.backend, part, domain, values)

        return dict(grouped_backends(vectors, build, settings.change_weight))

    def residual_backends(far_weight: float) -> dict[str, Backend]:
        residuals = replace(references, vectors=residual(references.vectors, far_weight))
        return {domain: ResidualBackend(backend, far_weight) for domain, backend in backends(residuals).items()}

    if not settings.has_two_vectors:
        return backends(references)
    if settings.microphones == "residual":
        return residual_backends(settings.far_weight)
    near, far = residual_backends(0.0), residual_backends(settings.far_weight)
    return {domain: SmallestStandardized([near[domain], far[domain]]) for domain in references.domains}
