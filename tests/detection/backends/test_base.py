"""References know their domains and what is common to them; a backend leaves recordings out in its domain only."""

from dataclasses import replace

import pytest
import torch

from modeling_retainmix.detection.backends.base import Backend, References, mean_of_finite, usable_neighbors

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


def test_recordings_are_counted_by_domain():
    assert [REFERENCES.num_recordings(domain) for domain in ("source", "target")] == [2, 2]


def test_what_domains_share_is_made_once_for_the_same_references():
    calls = []

    def mean(references):
        calls.append(references)
        return references.vectors.mean()

    references = References(VECTORS, RECORDING_INDEX, IS_TARGET_DOMAIN)
    assert references.shared(mean) == references.shared(mean) == VECTORS.mean()
    assert calls == [references]
    others = replace(references, vectors=2 * VECTORS)
    assert others.shared(mean) == 2 * VECTORS.mean() and len(calls) == 2


def test_when_there_are_fewer_neighbors_than_wanted_then_all_are_used_with_a_warning(recwarn):
    assert usable_neighbors("k", 3, 3, "target") == 3
    assert not recwarn
    with pytest.warns(UserWarning, match="target domain has too few references for k=3: it uses 2, add references"):
        assert usable_neighbors("k", 3, 2, "target") == 2


def test_mean_leaves_out_what_is_infinite():
    distances = torch.tensor([[1.0, 3.0, torch.inf], [4.0, torch.inf, torch.inf], [torch.inf] * 3])
    assert mean_of_finite(distances).tolist() == [2.0, 4.0, torch.inf]
