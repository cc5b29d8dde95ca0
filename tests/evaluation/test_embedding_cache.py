"""Embeddings on disk: what is computed again, and what is not."""

import pytest
import torch

from modeling_retainmix.evaluation.embedding_cache import EmbeddingCache


class Encoder:
    """Note which embedding keys it is asked for."""

    def __init__(self):
        self.asked = []

    def __call__(self, keys):
        self.asked.append(keys)
        return {key: {"clips": torch.full((2, 3), float(key))} for key in keys}


@pytest.fixture
def encoder():
    return Encoder()


def test_when_embeddings_are_fetched_again_then_they_come_from_the_disk_bit_for_bit(tmp_path, encoder):
    first = EmbeddingCache(tmp_path).fetch("data", {1: {"layer": 1}, 2: {"layer": 2}}, encoder)
    again = EmbeddingCache(tmp_path).fetch("data", {2: {"layer": 2}, 1: {"layer": 1}}, encoder)
    assert encoder.asked == [[1, 2]]
    assert list(again) == [2, 1]
    assert all(torch.equal(first[key]["clips"], again[key]["clips"]) for key in (1, 2))


def test_when_a_layer_is_new_then_only_that_one_is_computed(tmp_path, encoder):
    cache = EmbeddingCache(tmp_path)
    cache.fetch("data", {1: {"layer": 1}}, encoder)
    cache.fetch("data", {1: {"layer": 1}, 3: {"layer": 3}}, encoder)
    assert encoder.asked == [[1], [3]]


@pytest.mark.parametrize(("data", "identity"), [("others", {"weights": "a"}), ("data", {"weights": "b"})])
def test_when_the_clips_or_the_encoder_differ_then_it_is_computed_again(tmp_path, encoder, data, identity):
    cache = EmbeddingCache(tmp_path)
    cache.fetch("data", {1: {"weights": "a"}}, encoder)
    cache.fetch(data, {1: identity}, encoder)
    assert encoder.asked == [[1], [1]]


def test_when_a_file_is_torn_then_it_is_computed_again_with_a_warning(tmp_path, encoder, caplog):
    cache = EmbeddingCache(tmp_path)
    cache.fetch("data", {1: {}}, encoder)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-4])
    found = cache.fetch("data", {1: {}}, encoder)
    assert encoder.asked == [[1], [1]]
    assert torch.equal(found[1]["clips"], torch.ones(2, 3))
    assert file.name in caplog.text


def test_when_writing_fails_then_nothing_is_left_that_could_be_read(tmp_path, monkeypatch, encoder):
    def full_disk(tensors, path):
        path.write_bytes(b"torn")
        raise OSError("no space left")

    monkeypatch.setattr("modeling_retainmix.evaluation.embedding_cache.save_file", full_disk)
    with pytest.raises(OSError, match="no space left"):
        EmbeddingCache(tmp_path).fetch("data", {1: {}}, encoder)
    assert list(tmp_path.iterdir()) == []
