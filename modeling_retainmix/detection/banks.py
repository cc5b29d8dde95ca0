"""The bank of references that a detector's settings ask for.

Every bank has `vectors`, `recording` and `is_target` of its references, `domains`, `distances(queries)` and
`leave_one_out()`, both [n, domains], and `lowest` [1, domains], the distances that none falls below.
"""

import torch

from modeling_retainmix.detection.band_bank import BandBank
from modeling_retainmix.detection.density_bank import DensityBank
from modeling_retainmix.detection.fusion_bank import FusionBank, SingleBank
from modeling_retainmix.detection.gaussian_bank import GaussianBank
from modeling_retainmix.detection.memory_bank import MemoryBank
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.subspace_bank import SubspaceBank

Bank = SingleBank | FusionBank


def build_bank(
    settings: DetectorSettings,
    vectors: torch.Tensor,
    recording: torch.Tensor,
    is_target: torch.Tensor,
    num_bands: int,
) -> Bank:
    """Builds the bank of `settings.backend`.

    Args:
        settings: of the detector.
        vectors: [n, D] float32 pooled references.
        recording: [n] int64, the recording each vector comes from.
        is_target: [n] bool, the domain of each.
        num_bands: frequency bands that lie end to end in a vector that was pooled over time.

    Raises:
        ValueError: the references do not suffice for this backend.
    """
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
