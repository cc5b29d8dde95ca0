"""Clips of any lengths are embedded as if each were alone."""

from functools import partial

import numpy as np
import pytest
import soundfile as sf
import torch

from modeling_retainmix.audio import AudioSource, audio_sources
from modeling_retainmix.detection import clip_embedding
from modeling_retainmix.detection.clip_embedding import embed_clips
from modeling_retainmix.detection.embedder import Embedder
from modeling_retainmix.detection.level_cells import cell_statistics
from modeling_retainmix.detection.recording_traits import Traits
from modeling_retainmix.detection.windows import Windows
from modeling_retainmix.encoders import BeatsFeatureExtractor

LENGTHS = (4000, 12000, 4000, 8000, 20000, 4000, 6000, 6500, 7000, 7500)


@pytest.fixture(scope="module")
def embedder(tiny_model, feature_extractor):
    return Embedder(tiny_model, feature_extractor, [1, 2])


@pytest.fixture(scope="module")
def strict_embedder(tiny_model):
    """The rule of converted official checkpoints refuses short clips, which the default one repeats."""
    return Embedder(tiny_model, BeatsFeatureExtractor(padding_rule="fold"), [1, 2])


@pytest.fixture(scope="module")
def clips():
    generator = np.random.default_rng(0)
    return [generator.normal(0, 0.1, length).astype(np.float32) for length in LENGTHS]


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_embeddings_are_in_the_order_of_clips_and_time(embedder, clips, batch_size):
    windows = Windows(0.5, 0.25)
    result = embed_clips(embedder, audio_sources(clips, 16000), windows, batch_size)
    row = 0
    for index, clip in enumerate(clips):
        for start, window in windows.cut(clip, 16000):
            alone = embedder.embed(torch.from_numpy(window)[None])
            torch.testing.assert_close(
                result.vectors[row], torch.cat([alone[1][0], alone[2][0]]), rtol=1e-4, atol=1e-5
            )
            assert (result.clip_index[row], result.start_seconds[row]) == (index, start / 16000)
            row += 1
    assert len(result.vectors) == len(result.clip_index) == row == 14


def test_no_more_clips_are_loaded_than_are_needed_soon(embedder, clips):
    loaded = []

    def load(clip):
        loaded.append(len(clip))
        return clip

    class WatchingEmbedder:
        check_length = embedder.check_length
        pool, join = embedder.pool, embedder.join

        def tokens(self, waveforms):
            seen.append(len(loaded))
            return embedder.tokens(waveforms)

    seen: list[int] = []
    embed_clips(WatchingEmbedder(), [AudioSource("clip", partial(load, clips[0]))] * 40, Windows(), batch_size=2)
    assert len(seen) == 20
    assert all(count <= 2 * (turn + 1) + 2 * 2 + 1 for turn, count in enumerate(seen))


def test_level_moments_are_those_of_each_window(embedder, clips):
    result = embed_clips(embedder, audio_sources(clips[:3], 16000), Windows(), for_references=True)
    levels = embedder.tokens(torch.from_numpy(clips[1])[None]).levels[0]
    torch.testing.assert_close(result.level_moments[1, :, 0], levels.mean(dim=0))
    torch.testing.assert_close(result.level_moments[1, :, 1], levels.square().mean(dim=0))


def test_when_clips_are_no_references_then_no_level_is_measured(embedder, clips, monkeypatch):
    monkeypatch.setattr(clip_embedding, "cell_statistics", lambda *_: pytest.fail("cells were measured"))
    result = embed_clips(embedder, audio_sources(clips[:3], 16000), Windows())
    assert result.vectors.isfinite().all() and result.level_moments.numel() == result.cell_levels.numel() == 0


def test_cell_levels_are_those_of_the_samples_of_each_window(embedder, clips):
    for windows in (Windows(), Windows(pad=True)):
        result = embed_clips(embedder, audio_sources(clips[:3], 16000), windows, batch_size=3, for_references=True)
        for row, clip in enumerate(clips[:3]):
            cells = embedder.cells(torch.from_numpy(clip)[None])
            torch.testing.assert_close(result.cell_levels[row], cell_statistics(cells)[0], rtol=1e-4, atol=1e-4)


def test_when_clips_differ_in_length_and_time_is_kept_then_error_says_what_to_use(
    tiny_model, feature_extractor, clips
):
    embedder = Embedder(tiny_model, feature_extractor, [1], pooling="frequency_mean")
    with pytest.raises(ValueError, match=r"clip 1 differs in length .*'frequency_mean'.* pad='waveform'"):
        embed_clips(embedder, audio_sources(clips, 16000), Windows())


def test_when_a_clip_is_too_short_then_error_names_it(strict_embedder, tmp_path):
    sf.write(tmp_path / "short.wav", np.random.default_rng(0).normal(0, 0.1, 2799), 16000)
    with pytest.raises(ValueError, match=r"short\.wav is 0\.1749 s long; at least 0\.175 s"):
        embed_clips(strict_embedder, audio_sources(tmp_path), Windows())


def test_when_a_clip_cannot_be_read_then_its_error_comes_through(embedder, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    with pytest.raises(ValueError, match=r"bad\.wav cannot be decoded"):
        embed_clips(embedder, audio_sources(tmp_path), Windows())


def test_when_references_cannot_be_read_then_one_error_names_all_and_nothing_more_is_embedded(
    embedder, clips, tmp_path, monkeypatch
):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"no sound")
    (bad, worse), good = audio_sources(tmp_path), audio_sources(clips[:3], 16000)
    with pytest.raises(ValueError, match=r"^\S+a\.wav cannot be decoded"):
        embed_clips(embedder, [bad, *good], Windows(), for_references=True)
    monkeypatch.setattr(embedder, "tokens", None)
    with pytest.raises(ValueError, match=r"^2 recordings cannot be read: \S+a\.wav cannot .*; \S+b\.wav cannot"):
        embed_clips(embedder, [bad, *good, worse], Windows(), batch_size=1, for_references=True)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_when_errors_are_collected_then_the_other_clips_are_embedded(strict_embedder, clips, tmp_path, batch_size):
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    sf.write(tmp_path / "short.wav", clips[0][:2000], 16000)
    sources = audio_sources(clips[:3], 16000)
    broken = audio_sources([tmp_path / "bad.wav", tmp_path / "short.wav", tmp_path / "absent.wav"])
    errors: list[Exception] = []
    mixed = [sources[0], broken[0], sources[1], *broken[1:], sources[2]]
    result = embed_clips(strict_embedder, mixed, Windows(), batch_size, on_error=errors.append)
    assert result.clip_index.tolist() == [0, 2, 5]
    torch.testing.assert_close(result.vectors, embed_clips(strict_embedder, sources, Windows(), batch_size).vectors)
    assert [str(error).split("/")[-1].split(" ")[0] for error in errors] == ["bad.wav", "short.wav", "absent.wav"]
    assert len(embed_clips(strict_embedder, broken, Windows(), on_error=errors.append).clip_index) == 0


def test_with_a_transform_what_it_returns_is_kept_in_place_of_the_vectors(embedder, clips):
    sources, seen = audio_sources(clips, 16000), []

    def sums(vectors):
        seen.append(len(vectors))
        return vectors.sum(dim=1, keepdim=True)

    result = embed_clips(embedder, sources, Windows(0.5, 0.25), 4, transform=sums)
    expected = embed_clips(embedder, sources, Windows(0.5, 0.25), 4).vectors.sum(dim=1, keepdim=True)
    torch.testing.assert_close(result.vectors, expected)
    assert sum(seen) == len(expected) and max(seen) == 4


def test_when_an_embedding_is_not_finite_then_error_names_the_clip(embedder, clips):
    class BrokenEmbedder:
        check_length, tokens, join = embedder.check_length, embedder.tokens, embedder.join

        def pool(self, tokens):
            vectors = embedder.pool(tokens)
            vectors[2] = vectors[2].clone()
            vectors[2][1, 5] = torch.nan
            return vectors

    with pytest.raises(ValueError, match="clip 2 has an embedding that is not finite; its largest sample is 0"):
        embed_clips(BrokenEmbedder(), audio_sources(clips, 16000), Windows(), batch_size=2)


@pytest.mark.parametrize("huge", [1e15, 1e30])
def test_when_a_sample_is_huge_then_its_clip_fails_alone(embedder, clips, huge):
    bad = np.tile(clips[1], 2)
    bad[15000] = huge
    errors: list[Exception] = []
    sources = audio_sources([clips[0], bad, clips[3]], 16000)
    result = embed_clips(embedder, sources, Windows(0.5, 0.25), 2, on_error=errors.append)
    good = embed_clips(embedder, audio_sources([clips[0], clips[3]], 16000), Windows(0.5, 0.25), 2)
    torch.testing.assert_close(result.vectors, good.vectors)
    assert set(result.clip_index.tolist()) == {0, 2} and len(errors) == 1
    assert str(errors[0]).startswith(f"clip 1 holds the sample {huge:g}, where full scale is 1")
    is_unknown = np.isnan(result.traits)
    assert is_unknown[1].all() and is_unknown[[0, 2]].sum(axis=1).tolist() == [1, 1]  # how arrays were coded


def test_when_distances_are_not_finite_then_the_clip_is_named(embedder, clips):
    def distances(vectors):
        return torch.full((len(vectors), 1), torch.inf)

    with pytest.raises(ValueError, match="clip 0 has an embedding that is not finite"):
        embed_clips(embedder, audio_sources(clips[:1], 16000), Windows(), transform=distances)


@pytest.mark.parametrize(
    "error", [RuntimeError("resampler"), MemoryError(), TypeError("raw"), KeyError("path"), UnicodeError("name")]
)
def test_whatever_a_clip_raises_is_an_error_of_its_name_and_the_others_go_on(embedder, clips, error):
    def load():
        raise error

    sources = [*audio_sources(clips[:2], 16000), AudioSource("broken.wav", load)]
    errors: list[Exception] = []
    result = embed_clips(embedder, sources, Windows(), on_error=errors.append)
    assert result.clip_index.tolist() == [0, 1]
    assert [type(one) for one in errors] == [ValueError] and "broken.wav" in str(errors[0])
    with pytest.raises(ValueError, match=r"broken\.wav"):
        embed_clips(embedder, sources, Windows())


def test_when_a_library_is_missing_or_the_process_is_stopped_then_on_error_does_not_take_it(embedder):
    for error in (ImportError("torchaudio"), KeyboardInterrupt()):

        def load(error=error):
            raise error

        with pytest.raises(type(error)):
            embed_clips(embedder, [AudioSource("a.wav", load)], Windows(), on_error=lambda error: None)


def test_when_one_clip_has_another_length_and_time_is_kept_then_it_fails_alone(tiny_model, feature_extractor, clips):
    embedder = Embedder(tiny_model, feature_extractor, [1], pooling="frequency_mean")
    width = len(embed_clips(embedder, audio_sources(clips[:1], 16000), Windows()).vectors[0])
    errors: list[Exception] = []
    sources = audio_sources(clips[:3], 16000)  # the second is longer
    result = embed_clips(embedder, sources, Windows(), width=width, on_error=errors.append)
    assert result.clip_index.tolist() == [0, 2]
    assert "clip 1 differs in length from the references" in str(errors[0])


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_each_clip_is_reported_once_with_its_windows(embedder, clips, batch_size):
    def load():
        raise ValueError("bad.wav is broken")

    sources = [*audio_sources(clips, 16000), AudioSource("bad.wav", load)]
    done: dict[int, torch.Tensor | None] = {}

    def take(index, vectors):
        assert index not in done
        done[index] = vectors

    result = embed_clips(embedder, sources, Windows(0.5, 0.25), batch_size, on_error=lambda error: None, on_clip=take)
    assert sorted(done) == list(range(len(sources))) and done[len(clips)] is None
    for index in range(len(clips)):
        torch.testing.assert_close(done[index], result.vectors[result.clip_index == index])


def test_a_clip_of_an_unusual_length_does_not_wait_for_the_end(embedder, clips):
    order: list[int] = []
    sources = audio_sources([clips[1], *[clips[0]] * 40], 16000)
    embed_clips(embedder, sources, Windows(), 2, on_clip=lambda index, vectors: order.append(index))
    assert order.index(0) <= 8 * 2 + 2


@pytest.mark.parametrize(("channel", "channels"), [(0, 1), ("mean", 2)])
def test_traits_of_files_are_measured_while_loading(embedder, tmp_path, clips, channel, channels):
    sf.write(tmp_path / "a.wav", np.stack([clips[0], clips[2]], axis=1), 8000, subtype="ULAW")
    result = embed_clips(embedder, audio_sources(tmp_path, channel=channel), Windows())
    traits = Traits(*result.traits[0].tolist())
    assert (traits.sampling_rate, traits.channels, traits.seconds, traits.coding) == (8000, channels, 0.5, 2)
    assert traits.bandwidth == pytest.approx(4000, rel=0.15)
