"""References know their domains; a backend leaves recordings out in its domain only."""

import pytest
import torch

from modeling_retainmix.detection.backends.base import Backend, References

VECTORS = torch.tensor([[0.0], [1.0], [3.0], [10.0], [14.0]])
RECORDING_INDEX = torch.tensor([0, 0, 1, 2, 3])
IS_TARGET_DOMAIN = torch.tensor([False, False, False, True, True])
REFERENCES = References(VECTORS, RECORDING_INDEX, IS_TARGET_DOMAIN)


class MeanBackend(Backend):
    """Distance to the mean of the references."""

    method = "distance to the mean"

    def distance(self, queries):
        return (queries - self.vectors.mean(dim=0)).norm(dim=1)

    def leave_one_out(self):
        kept = [self.vectors[self.recording_index != recording] for recording in self.recording_index]
        return torch.stack([(v - rest.mean(dim=0)).norm() for v, rest in zip(self.vectors, kept, strict=True)])


def test_domains_are_those_with_references_source_first():
    assert REFERENCES.domains == ["source", "target"]
    assert References(VECTORS[3:], RECORDING_INDEX[3:], IS_TARGET_DOMAIN[3:]).domains == ["target"]


def test_backend_holds_the_references_of_its_domain():
    backend = MeanBackend(REFERENCES, "target")
    assert backend.vectors.flatten().tolist() == [10.0, 14.0]
    assert backend.recording_index.tolist() == [2, 3]
    assert backend.lower_bound == 0 and not backend.has_contrast


def test_distances_of_references_leave_their_recording_out_of_its_domain_only():
    source, target = (MeanBackend(REFERENCES, domain) for domain in ("source", "target"))
    # source: both windows of recording 0 are compared with 3, recording 1 with 0.5; the others with 4 / 3
    assert source.reference_distances().tolist() == pytest.approx([3.0, 2.0, 2.5, 10 - 4 / 3, 14 - 4 / 3])
    assert target.reference_distances().tolist() == [12.0, 11.0, 9.0, 4.0, 4.0]


def test_when_there_are_no_references_then_error_says_what_to_do():
    with pytest.raises(ValueError, match="the machine has no references: fit on at least one normal clip"):
        References(VECTORS[:0], RECORDING_INDEX[:0], IS_TARGET_DOMAIN[:0])
