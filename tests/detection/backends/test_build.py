"""Settings choose the bank and reach it."""

import pytest
import torch

from modeling_retainmix.detection.backends.build import build_bank
from modeling_retainmix.detection.backends.density import DensityBank
from modeling_retainmix.detection.backends.fusion import FusionBank
from modeling_retainmix.detection.backends.knn import MemoryBank
from modeling_retainmix.detection.backends.mahalanobis import GaussianBank
from modeling_retainmix.detection.backends.pca import SubspaceBank
from modeling_retainmix.detection.backends.subband import BandBank
from modeling_retainmix.detection.settings import DetectorSettings

GENERATOR = torch.Generator().manual_seed(0)
VECTORS = torch.randn(18, 6, generator=GENERATOR)
QUERIES = torch.randn(5, 6, generator=GENERATOR)
REFERENCES = VECTORS, torch.arange(18), torch.arange(18) >= 10


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"backend": "knn", "k": 2, "metric": "cosine"}, MemoryBank(*REFERENCES, 2, "cosine")),
        (
            {"backend": "knn", "mix_support": 3, "mix_alpha": 0.6},
            MemoryBank(*REFERENCES, mix_support=3, mix_alpha=0.6),
        ),
        ({"backend": "subband", "k": 2}, BandBank(*REFERENCES, 3, 2)),
        (
            {"backend": "density", "k": 2, "metric": "cosine", "density_neighbours": 3},
            DensityBank(*REFERENCES, 2, "cosine", 3),
        ),
        ({"backend": "mahalanobis", "shrinkage": 0.4}, GaussianBank(*REFERENCES, 0.4)),
        ({"backend": "pca", "variance": 0.5}, SubspaceBank(*REFERENCES, 0.5)),
        (
            {"backend": "fusion", "shrinkage": 0.4, "variance": 0.5, "density_neighbours": 3},
            FusionBank(
                [
                    MemoryBank(*REFERENCES, metric="cosine"),
                    GaussianBank(*REFERENCES, 0.4),
                    DensityBank(*REFERENCES, metric="cosine", num_neighbours=3),
                    SubspaceBank(*REFERENCES, 0.5),
                ]
            ),
        ),
    ],
)
def test_bank_is_that_of_the_settings(settings, expected):
    bank = build_bank(DetectorSettings(**settings), *REFERENCES, num_bands=3)
    assert type(bank) is type(expected)
    assert torch.equal(bank.distances(QUERIES), expected.distances(QUERIES))
    assert torch.equal(bank.leave_one_out(), expected.leave_one_out())
    assert bank.lowest.shape == (1, 2)
