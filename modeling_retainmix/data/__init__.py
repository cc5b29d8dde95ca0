"""Data: readers of recordings and noise, the procedural factory, training pairs and the benchmark.

`read_recordings` is the way in for recordings of machines in any public layout.
"""

from modeling_retainmix.data.recordings import read_recordings

__all__ = ["read_recordings"]
