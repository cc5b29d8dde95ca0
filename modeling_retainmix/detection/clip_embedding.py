"""Embeddings of any number of clips, decoded by threads while the encoder works, in bounded memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm.auto import tqdm

from modeling_retainmix.audio import SAMPLING_RATE, AudioSource
from modeling_retainmix.detection.embedder import Embedder
from modeling_retainmix.detection.windows import Windows
from modeling_retainmix.load_ahead import load_ahead


@dataclass(frozen=True)
class ClipEmbeddings:
    """Embeddings of the windows of some clips, in the order of clips and time.

    Attributes:
        vectors: [windows, dim] float32; vectors of several layers lie end to end, and so do those of two channels.
            With `transform`, its results.
        level_moments: [windows, F, 2] float32, mean over time of the log-mel level of each frequency patch, and of
            its square, in the first channel.
        clip_index: [windows] int64, which clip a window belongs to.
        start_seconds: [windows] float64, where in its clip a window begins.
    """

    vectors: torch.Tensor
    level_moments: torch.Tensor
    clip_index: np.ndarray
    start_seconds: np.ndarray


def embed_clips(
    embedder: Embedder,
    sources: Sequence[AudioSource],
    windows: Windows,
    batch_size: int = 16,
    description: str = "embedding",
    transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
    on_error: Callable[[Exception], None] | None = None,
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
        on_error: called with the error of a clip that cannot be read or is too short, which then has no windows.
            None: the error is raised.

    Returns:
        The embeddings, on the CPU.

    Raises:
        OSError, ValueError: a clip cannot be read or is too short, or its embedding is not finite; the message names
            it.
    """
    clip_index: list[int] = []
    start_seconds: list[float] = []
    vectors: list[torch.Tensor] = []
    moments: list[torch.Tensor] = []
    waiting: dict[int, list[tuple[int, np.ndarray]]] = {}  # by length: position and samples of windows
    num_waiting = 0

    def embed(batch: list[tuple[int, np.ndarray]]) -> None:
        waveforms = torch.from_numpy(np.stack([window for _, window in batch]))
        tokens = embedder.tokens(waveforms.movedim(1, -1).flatten(0, -2))  # channels of a clip follow each other
        channels = len(tokens.levels) // len(batch)
        joined = torch.cat(list(embedder.pool(tokens).values()), dim=1).view(len(batch), -1)
        finite = joined.isfinite().all(dim=1).tolist()
        if not all(finite):
            name = sources[clip_index[batch[finite.index(False)][0]]].name
            raise ValueError(
                f"{name} has an embedding that is not finite: load the encoder in float32, or repair its weights"
            )
        joined = (joined if transform is None else transform(joined)).cpu()
        levels = tokens.levels.cpu()[::channels, tokens.real_columns]
        level_moments = torch.stack([levels.mean(dim=1), levels.square().mean(dim=1)], dim=2)
        for (position, _), vector, moment in zip(batch, joined, level_moments, strict=True):
            vectors[position], moments[position] = vector, moment

    loaded = load_ahead(sources, lambda source: source.load(), max_clips=2 * batch_size)
    for index, clip in enumerate(tqdm(loaded, desc=description, total=len(sources), unit="clip", disable=None)):
        try:
            pieces = windows.cut(clip.result(), SAMPLING_RATE)
            embedder.check_length(len(pieces[0][1]), sources[index].name)  # the others are as long
        except (OSError, ValueError) as error:
            if on_error is None:
                raise
            on_error(error)
            continue
        for start, window in pieces:
            waiting.setdefault(len(window), []).append((len(clip_index), window))
            num_waiting += 1
            clip_index.append(index)
            start_seconds.append(start / SAMPLING_RATE)
            vectors.append(torch.empty(0))
            moments.append(torch.empty(0))
            if len(waiting[len(window)]) == batch_size:
                embed(waiting.pop(len(window)))
                num_waiting -= batch_size
        if num_waiting >= 4 * batch_size:  # clips of many different lengths
            longest = max(waiting, key=lambda length: len(waiting[length]))
            num_waiting -= len(waiting[longest])
            embed(waiting.pop(longest))
    for batch in waiting.values():
        embed(batch)
    widths = {len(vector) for vector in vectors}
    if len(widths) > 1:
        raise ValueError(
            f"the clips differ in length, which pooling={embedder.pooling!r} keeps in the vectors: "
            "use pooling='time_mean', or pad='waveform'"
        )
    if not vectors:
        vectors = moments = [torch.empty(0)]
    return ClipEmbeddings(
        torch.stack(vectors), torch.stack(moments), np.asarray(clip_index), np.asarray(start_seconds)
    )
