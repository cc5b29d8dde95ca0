"""MemMixup: more target references, interpolated between target and source references (GenRep, arXiv 2409.05035)."""

import torch

from modeling_retainmix.detection.nearest_search import nearest_neighbors


def mem_mixup(source: torch.Tensor, target: torch.Tensor, alpha: float = 0.9, num_support: int = 990) -> torch.Tensor:
    """Return the target bank with its mixed vectors.

    Every target reference t is mixed with its K_s nearest source references s: alpha * t + (1 - alpha) * s.

    Args:
        source: [n, D] pooled source references.
        target: [m, D] pooled target references.
        alpha: weight of the target reference, 0 <= alpha <= 1.
        num_support: K_s; with fewer source references, all of them are used.

    Returns:
        [m + m * min(K_s, n), D]: the target references, then the mixed vectors, target reference slow and rank of
        the neighbor (nearest first) fast.

    Raises:
        ValueError: an argument out of range, or an empty bank.
    """
    return mix_with_neighbors(source, target, alpha, num_support)[0]


def mix_with_neighbors(
    source: torch.Tensor, target: torch.Tensor, alpha: float, num_support: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """`mem_mixup`, and the row of the source reference in each mixed vector, [m, min(K_s, n)]."""
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha={alpha} is not a valid weight: use a value from 0 to 1")
    if num_support < 1:
        raise ValueError(f"num_support={num_support}: mix with at least 1 source reference")
    if len(source) == 0 or len(target) == 0:
        raise ValueError(f"MemMixup needs both domains: {len(source)} source, {len(target)} target vectors")
    _, rows = nearest_neighbors(target, source, min(num_support, len(source)))
    mixed = alpha * target[:, None] + (1 - alpha) * source[rows]
    return torch.cat([target, mixed.flatten(0, 1)]), rows
