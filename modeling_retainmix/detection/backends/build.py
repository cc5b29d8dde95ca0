"""The bank of references that a detector's settings ask for."""

import torch

from modeling_retainmix.detection.backends.base import Bank
from modeling_retainmix.detection.backends.density import DensityBank
from modeling_retainmix.detection.backends.fusion import FusionBank
from modeling_retainmix.detection.backends.knn import MemoryBank
from modeling_retainmix.detection.backends.mahalanobis import GaussianBank
from modeling_retainmix.detection.backends.pca import SubspaceBank
from modeling_retainmix.detection.backends.subband import BandBank
from modeling_retainmix.detection.microphones import ResidualBank, residual
from modeling_retainmix.detection.settings import DetectorSettings


def build_bank(
    settings: DetectorSettings,
    vectors: torch.Tensor,
    recording: torch.Tensor,
    is_target: torch.Tensor,
    num_bands: int,
) -> Bank:
    """Builds the bank of `settings.backend` for `settings.view`.

    The view "fusion" fuses the bank of the near vectors and that of the residuals as `FusionBank` does.

    Args:
        settings: of the detector.
        vectors: [n, D] float32 pooled references, on the device where the bank is to compute; [n, 2 * D], near and far
            end to end, for every view but "near".
        recording: [n] int64, the recording each vector comes from.
        is_target: [n] bool, the domain of each.
        num_bands: frequency bands that lie end to end in a vector that was pooled over time.

    Raises:
        ValueError: the references do not suffice for this backend.
    """
    if settings.view == "near":
        return _backend_bank(settings, vectors, recording, is_target, num_bands)

    def residual_bank(far_weight: float) -> ResidualBank:
        vectors_of_view = residual(vectors, far_weight)
        return ResidualBank(_backend_bank(settings, vectors_of_view, recording, is_target, num_bands), far_weight)

    if settings.view == "residual":
        return residual_bank(settings.far_weight)
    return FusionBank([residual_bank(0.0), residual_bank(settings.far_weight)])


def _backend_bank(
    settings: DetectorSettings,
    vectors: torch.Tensor,
    recording: torch.Tensor,
    is_target: torch.Tensor,
    num_bands: int,
) -> Bank:
    """The bank of one view; `vectors` [n, D]."""
    references = vectors, recording, is_target
    match settings.backend:
        case "mahalanobis":
            return GaussianBank(*references, settings.shrinkage)
        case "pca":
            return SubspaceBank(*references, settings.variance)
        case "subband":
            return BandBank(*references, num_bands, settings.k)
        case "density":
            return DensityBank(*references, settings.k, settings.metric, settings.density_neighbours)
        case "fusion":
            return FusionBank(
                [
                    MemoryBank(*references, metric="cosine"),
                    GaussianBank(*references, settings.shrinkage),
                    DensityBank(*references, metric="cosine", num_neighbours=settings.density_neighbours),
                    SubspaceBank(*references, settings.variance),
                ]
            )
    return MemoryBank(*references, settings.k, settings.metric, settings.mix_support, settings.mix_alpha)
