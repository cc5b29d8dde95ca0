"""Embeddings of benchmark clips kept on disk, so that an interrupted evaluation resumes where it stopped.

A file holds the vectors of all clips of one machine type under one embedding key. Its name is a hash of everything
that the vectors depend on, so that a file is right or absent: the samples themselves (a fingerprint of the data), and
weights, configuration, layer, pooling and preprocessing (the identity of the key). Each layer has its own file: a run
that reads more layers computes only those that are missing.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from modeling_retainmix.atomic import whole_file

logger = logging.getLogger(__name__)

Tensors = dict[str, torch.Tensor]

_VERSION = 1  # of what an embedding is; part of the file's name


class EmbeddingCache:
    """A folder of embeddings.

    Files are written beside their place and renamed, so that a torn one is never found; processes may share a folder.

    Args:
        folder: created if it does not exist.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def fetch(
        self,
        data: Any,
        identities: Mapping[Hashable, Mapping[str, Any]],
        compute: Callable[[list[Hashable]], dict[Hashable, Tensors]],
    ) -> dict[Hashable, Tensors]:
        """Read the embeddings that are there; compute and keep the others.

        Args:
            data: what distinguishes the clips from all others, and how they are mixed, as JSON takes it.
            identities: {embedding_key: what its vectors depend on beside the clips, as JSON takes it}.
            compute: gives the embeddings of the keys that are missing, all at once, on the CPU.

        Returns:
            {embedding_key: {name: [clips, dim]}} as `compute` gives it, in the order of `identities`.
        """
        paths = {key: self._path(data, identity) for key, identity in identities.items()}
        found = {key: tensors for key, path in paths.items() if (tensors := _read(path)) is not None}
        missing = [key for key in paths if key not in found]
        if missing:
            for key, tensors in compute(missing).items():
                _write(paths[key], tensors)
                found[key] = tensors
        return {key: found[key] for key in paths}

    def _path(self, data: Any, identity: Mapping[str, Any]) -> Path:
        content = json.dumps([_VERSION, data, identity], sort_keys=True)
        return self.folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.safetensors"


def _read(path: Path) -> Tensors | None:
    """Return the content of a file; None: it is absent, or the disk has damaged it."""
    if not path.is_file():
        return None
    try:
        return load_file(path)
    except SafetensorError as error:
        logger.warning("%s cannot be read (%s): its embeddings are computed again", path, error)
        return None


def _write(path: Path, tensors: Tensors) -> None:
    with whole_file(path) as temporary:
        save_file({name: values.contiguous() for name, values in tensors.items()}, temporary)
