"""Clips loaded by threads ahead of their use, in order and in bounded memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

Item = TypeVar("Item")

AHEAD_SAMPLES = 3600 * 16_000  # one hour at 16 kHz: 220 MiB in float32
_LEAST = 2  # clips at work, however long they are


def load_ahead(
    items: Iterable[Item],
    load: Callable[[Item], Any],
    max_clips: int,
    max_samples: int = AHEAD_SAMPLES,
    num_samples: Callable[[Any], int] = np.size,
) -> Iterator[Future[Any]]:
    """Load items in threads.

    A clip's length is known when it has been loaded; those at work are taken to be as long as the longest so far.

    Args:
        items: what to load.
        load: loads one; runs in threads.
        max_clips: so many clips are loaded before they are asked for, at most.
        max_samples: so many samples of them, at most, except that two clips are always at work.
        num_samples: length of a loaded clip in samples.

    Yields:
        One future for each item, in their order.
    """
    futures: deque[Future[Any]] = deque()
    longest: int | None = None

    def length(future: Future[Any]) -> int | None:
        nonlocal longest
        if not future.done():
            return longest
        samples = num_samples(future.result()) if future.exception() is None else 0
        longest = max(samples, longest or 0)
        return samples

    def is_full() -> bool:
        lengths = [length(future) for future in futures]
        return None in lengths or sum(filter(None, lengths)) >= max_samples

    with ThreadPoolExecutor(os.cpu_count()) as executor:
        try:
            for item in items:
                while len(futures) >= max_clips or (len(futures) >= _LEAST and is_full()):
                    first = futures.popleft()
                    yield first
                    length(first)
                futures.append(executor.submit(load, item))
            while futures:
                yield futures.popleft()
        finally:
            for future in futures:
                future.cancel()
