"""Embeddings of any number of clips, decoded by threads while the encoder works, in bounded memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from tqdm.auto import tqdm

from modeling_retainmix.audio import SAMPLING_RATE, AudioSource
from modeling_retainmix.audio_files import unreadable_error
from modeling_retainmix.detection import cut_recordings
from modeling_retainmix.detection.duplicates import NUM_VALUES, fingerprint
from modeling_retainmix.detection.embedder import ClipTokens, Embedder
from modeling_retainmix.detection.level_cells import cell_statistics, real_cells
from modeling_retainmix.detection.recording_traits import Traits, measure_traits
from modeling_retainmix.detection.windows import Windows
from modeling_retainmix.load_ahead import load_ahead

OnError = Callable[[Exception], None]
OnClip = Callable[[int, torch.Tensor | None], None]


@dataclass(frozen=True)
class ClipEmbeddings:
    """Embeddings of the windows of some clips, in the order of clips and time.

    Attributes:
        vectors: [windows, dim] float32; vectors of several layers lie end to end, and so do those of two channels.
            With `transform`, its results.
        level_moments: [windows, F, 2] float32, mean over time of the log-mel level of each frequency patch, and of
            its square, in the first channel that is embedded; [windows, 0] of clips that are no references.
        cell_levels: [windows, B, 4] float32 of `level_cells.cell_statistics`, in the same channel; likewise.
        clip_index: [windows] int64, which clip a window belongs to.
        start_seconds: [windows] float64, where in its clip a window begins.
        traits: [clips, traits] float32 of `recording_traits.Traits`, of the first channel as it was recorded; NaN for
            clips that have no windows.
        fingerprints: [clips, values] float32 of `duplicates.fingerprint`; NaN likewise.
        seams: [clips, values] float32 of `cut_recordings.measure_seam`; NaN likewise, and if not asked for.
    """

    vectors: torch.Tensor
    level_moments: torch.Tensor
    cell_levels: torch.Tensor
    clip_index: np.ndarray
    start_seconds: np.ndarray
    traits: np.ndarray
    fingerprints: np.ndarray
    seams: np.ndarray


def embed_clips(
    embedder: Embedder,
    sources: Sequence[AudioSource],
    windows: Windows,
    batch_size: int = 16,
    description: str = "embedding",
    transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
    width: int | None = None,
    on_error: OnError | None = None,
    on_clip: OnClip | None = None,
    for_references: bool = False,
) -> ClipEmbeddings:
    """Read and embed clips.

    Windows of equal length share a forward, so that no clip's embedding depends on padding for its neighbors. Memory
    grows with the number of clips only by what is returned.

    Args:
        embedder: of one or several layers.
        sources: the clips, at 16 kHz once loaded: [samples], or [samples, channels].
        windows: how to cut them.
        batch_size: windows of one forward.
        description: label of the progress bar, which a terminal shows.
        transform: applied to the vectors of a batch, [windows, dim] on the embedder's device, which then are not kept.
        width: dim of the references; None: clips need to be alike only.
        on_error: called with the error of a clip that cannot be read, is too short, has an embedding that is not
            finite, or another length where the pooling keeps it; it then has no windows. None: the error is raised.
        on_clip: called with the index of each clip as soon as it is done, and the vectors of its windows; with None in
            their place for a clip with an error. Clips of unlike lengths are done in another order than given.
        for_references: measure too what references keep beside their vectors (`level_moments`, `cell_levels`), and
            what tells files that are cut from one recording (`seams`). Where one cannot be read the others are read
            still, so that one error names all of them.

    Returns:
        The embeddings, on the CPU.

    Raises:
        FileNotFoundError, ValueError: a clip has an error as above; the message names it.
    """
    errors: list[Exception] = []
    work = _Work(embedder, sources, batch_size, transform, width, on_error, on_clip, for_references)
    traits = np.full((len(sources), len(Traits._fields)), np.nan, dtype=np.float32)
    fingerprints = np.full((len(sources), NUM_VALUES), np.nan, dtype=np.float32)
    seams = np.full((len(sources), cut_recordings.NUM_VALUES), np.nan, dtype=np.float32)
    load = partial(load_clip, has_seam=for_references)
    loaded = load_ahead(sources, load, max_clips=2 * batch_size, num_samples=lambda clip: clip.waveform.size)
    for index, clip in enumerate(
        tqdm(loaded, desc=description, total=len(sources), unit="clip", disable=None, delay=2)
    ):
        try:
            waveform, traits[index], fingerprints[index], seams[index] = clip.result()
            pieces = windows.cut(waveform, SAMPLING_RATE)
            embedder.check_length(len(pieces[0][1]), sources[index].name)  # the others are as long
        except (FileNotFoundError, ValueError) as error:
            if for_references and on_error is None:
                errors.append(error)
            else:
                work.fail(index, error)
        else:
            if not errors:
                work.add(index, pieces, len(waveform))
    if errors:
        raise errors[0] if len(errors) == 1 else unreadable_error([str(error) for error in errors])
    work.finish()
    failed = sorted(work.failed)
    for values in (traits, fingerprints, seams):
        values[failed] = np.nan
    rows = [row for row, index in enumerate(work.clip_index) if index not in work.failed]
    found = (work.vectors, work.moments, work.cell_levels)
    vectors, moments, cell_levels = ([values[row] for row in rows] or [torch.empty(0)] for values in found)
    return ClipEmbeddings(
        torch.stack(vectors),
        torch.stack(moments),
        torch.stack(cell_levels),
        np.asarray([work.clip_index[row] for row in rows], dtype=np.int64),
        np.asarray([work.start_seconds[row] for row in rows]),
        traits,
        fingerprints,
        seams,
    )


class _Work:
    """Windows that wait for a full batch of their length, and the results of those that were embedded."""

    def __init__(
        self,
        embedder: Embedder,
        sources: Sequence[AudioSource],
        batch_size: int,
        transform: Callable[[torch.Tensor], torch.Tensor] | None,
        width: int | None,
        on_error: OnError | None,
        on_clip: OnClip | None,
        for_references: bool,
    ) -> None:
        self._for_references = for_references
        self.clip_index: list[int] = []
        self.start_seconds: list[float] = []
        self.vectors: list[torch.Tensor] = []
        self.moments: list[torch.Tensor] = []
        self.cell_levels: list[torch.Tensor] = []
        self.failed: set[int] = set()
        self._embedder, self._sources, self._batch_size = embedder, sources, batch_size
        self._transform, self._on_error, self._on_clip = transform, on_error, on_clip
        self._width, self._is_reference_width = width, width is not None
        self._waiting: dict[int, list[tuple[int, np.ndarray]]] = {}  # by length: row and samples; oldest length first
        self._num_waiting = 0
        self._num_real: list[int] = []  # samples of each row that are not padding
        self._rows: dict[int, range] = {}  # of clips that are not done
        self._left: dict[int, int] = {}  # windows of theirs that are not embedded

    def fail(self, index: int, error: Exception) -> None:
        """Report the error of a clip, once."""
        if self._on_error is None:
            raise error
        if index not in self.failed:
            self.failed.add(index)
            self._on_error(error)
            if self._on_clip is not None:
                self._on_clip(index, None)

    def add(self, index: int, pieces: Sequence[tuple[int, np.ndarray]], num_samples: int) -> None:
        """Take the windows of a clip of so many samples, all of one length; embed what has become a batch."""
        length, first = len(pieces[0][1]), len(self.clip_index)
        self._rows[index], self._left[index] = range(first, first + len(pieces)), len(pieces)
        for row, (start, window) in enumerate(pieces, first):
            self.clip_index.append(index)
            self.start_seconds.append(start / SAMPLING_RATE)
            self.vectors.append(torch.empty(0))
            self.moments.append(torch.empty(0))
            self.cell_levels.append(torch.empty(0))
            self._num_real.append(min(num_samples, length))
            self._waiting.setdefault(length, []).append((row, window))
            self._num_waiting += 1
            if len(self._waiting[length]) == self._batch_size:
                self._embed(length)
        if self._num_waiting >= 4 * self._batch_size:  # clips of many different lengths
            self._embed(max(self._waiting, key=lambda length: len(self._waiting[length])))
        while self._waiting:  # a clip of an unusual length shall not wait for the end
            oldest = next(iter(self._waiting))
            if index - self.clip_index[self._waiting[oldest][0][0]] < 8 * self._batch_size:
                break
            self._embed(oldest)

    def finish(self) -> None:
        """Embed what waits."""
        while self._waiting:
            self._embed(next(iter(self._waiting)))

    def _embed(self, length: int) -> None:
        batch = self._waiting.pop(length)
        self._num_waiting -= len(batch)
        batch = [(row, window) for row, window in batch if self.clip_index[row] not in self.failed]
        if not batch:
            return
        rows = [row for row, _ in batch]
        waveforms = torch.from_numpy(np.stack([window for _, window in batch]))
        tokens = self._embedder.tokens(waveforms.movedim(1, -1).flatten(0, -2))  # channels of a clip follow each other
        channels = len(tokens.features) // len(batch)
        joined = self._embedder.join(self._embedder.pool(tokens)).view(len(batch), -1)
        if self._width is None:
            self._width = joined.shape[1]
        if joined.shape[1] != self._width:
            for row in rows:
                self.fail(self.clip_index[row], self._wrong_length(self.clip_index[row]))
            return
        results = (joined if self._transform is None else self._transform(joined)).cpu()
        finite = joined.isfinite().all(dim=1).cpu() & results.isfinite().all(dim=1)
        for place, (row, window) in enumerate(batch):
            if finite[place]:
                self.vectors[row] = results[place]
            else:
                self.fail(self.clip_index[row], self._not_finite(self.clip_index[row], window))
        if self._for_references:
            self._keep_levels(tokens, rows, channels)
        for row in rows:
            self._count(self.clip_index[row])

    def _keep_levels(self, tokens: ClipTokens, rows: Sequence[int], channels: int) -> None:
        """Keep what references know of their levels, in the first channel."""
        levels, cells = tokens.levels[::channels].cpu()[:, tokens.real_columns], tokens.cells[::channels].cpu()
        moments = torch.stack([levels.mean(dim=1), levels.square().mean(dim=1)], dim=2)
        for place, row in enumerate(rows):
            self.moments[row] = moments[place]
            self.cell_levels[row] = cell_statistics(real_cells(cells[place, None], self._num_real[row]))[0]

    def _count(self, index: int) -> None:
        self._left[index] -= 1
        if self._left[index]:
            return
        rows = self._rows.pop(index)
        if self._on_clip is not None and index not in self.failed:
            self._on_clip(index, torch.stack([self.vectors[row] for row in rows]))

    def _wrong_length(self, index: int) -> ValueError:
        others = "the references" if self._is_reference_width else "the clips before it"
        return ValueError(
            f"{self._sources[index].name} differs in length from {others}, which pooling={self._embedder.pooling!r} "
            "keeps in the vectors: use pooling='time_mean', or pad='waveform'"
        )

    def _not_finite(self, index: int, window: np.ndarray) -> ValueError:
        return ValueError(
            f"{self._sources[index].name} has an embedding that is not finite; its largest sample is "
            f"{np.abs(window).max():g}, where full scale is 1: check the recording, or if all clips are so, load the "
            "encoder in float32"
        )


class LoadedClip(NamedTuple):
    """A clip and what was measured of it: float32 [samples] or [samples, channels], traits, fingerprint [values]."""

    waveform: np.ndarray
    traits: Traits
    fingerprint: np.ndarray
    seam: np.ndarray | float


def load_clip(source: AudioSource, has_seam: bool = False) -> LoadedClip:
    """Load a clip and measure it; whatever goes wrong with it alone is a ValueError or FileNotFoundError of its name.

    A missing library concerns all clips, and stays an ImportError.
    """
    try:
        waveform = source.load()
        first_channel = waveform if waveform.ndim == 1 else waveform[:, 0]
        described = source.describe() or ()
        # measured before it is processed
        measured = measure_traits(first_channel, *described), fingerprint(first_channel)
        seam = cut_recordings.measure_seam(first_channel) if has_seam else np.nan
        return LoadedClip(source.process(waveform), *measured, seam)
    except ImportError:
        raise
    except MemoryError as error:
        raise ValueError(f"{source.name} needs more memory than is free: cut it into shorter files") from error
    except Exception as error:
        if isinstance(error, (FileNotFoundError, ValueError)) and source.name in str(error):
            raise
        raise ValueError(
            f"{source.name} cannot be read ({type(error).__name__}: {error}): convert or remove it"
        ) from error
