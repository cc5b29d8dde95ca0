"""Official scores of encoders, layer by layer, on recordings as they are: no noise is added (paper, Figure 2)."""

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from tqdm.auto import tqdm

from modeling_retainmix.audio import SAMPLING_RATE
from modeling_retainmix.data.clips import read_clips, read_scales, to_waveform
from modeling_retainmix.data.recordings import scoring_rules
from modeling_retainmix.detection.nearest_search import knn_distance
from modeling_retainmix.evaluation.embedding_cache import EmbeddingCache, Tensors
from modeling_retainmix.evaluation.embeddings import EmbedFunction
from modeling_retainmix.evaluation.score_encoders import NamedEncoder, embed_views
from modeling_retainmix.evaluation.scores import ClipScores

RECORDINGS = ("recordings", 0.0)  # the only cell of the scores


def score_recordings(
    table: Dataset,
    clip_seconds: float,
    encoders: Sequence[NamedEncoder],
    cache: EmbeddingCache,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
    description: str = "recordings",
    show_progress: bool = True,
) -> dict[Hashable, ClipScores]:
    """Anomaly scores of all tests: distance to the nearest reference of their machine type and section (Eq. 2).

    Args:
        table: references and labelled tests, with a column `audio` of int16 samples at 16 kHz and the columns
            path (or file_name), machine_type, section, domain, split and label of `read_evaluation_recordings`.
        clip_seconds: clips are cut, or padded with zeros, to this length.
        encoders: with names that differ.
        cache: embeddings that are there are not computed again.
        device: where to compute.
        batch_size: clips of one forward.
        description: label of the progress bar.
        show_progress: show the bar.

    Returns:
        {(name, layer): scores}, each with the one cell `RECORDINGS`; its machine types are "<machine type>/<section>",
        and the official score over them is that of the recordings' year.

    Raises:
        ValueError: a section has no references.
    """
    names = [f"{machine}/{section}" for machine, section in zip(table["machine_type"], table["section"], strict=True)]
    sections, is_reference = np.asarray(names), np.asarray(table["split"]) == "train"
    embed = embed_views(encoders, device)
    identities: dict[Hashable, Mapping[str, Any]] = {
        (encoder.name, layer): encoder.identity(layer, oracle=False)
        for encoder in encoders
        for layer in encoder.layers
    }
    distances: dict[Hashable, list[np.ndarray]] = {view: [] for view in identities}
    tests: list[np.ndarray] = []
    for section in tqdm(np.unique(sections).tolist(), desc=description, disable=not show_progress):
        references, queries = (
            np.flatnonzero((sections == section) & (is_reference == role)) for role in (True, False)
        )
        if len(references) == 0:
            raise ValueError(
                f"section {section} has tests but no references: add normal recordings to its train folder"
            )
        rows = np.concatenate([references, queries])

        def compute(views: list[Hashable], rows: np.ndarray = rows) -> dict[Hashable, Tensors]:
            return _embed_rows(table, rows, round(clip_seconds * SAMPLING_RATE), embed(tuple(views)), batch_size)

        data = [_fingerprint(table, rows, round(clip_seconds * SAMPLING_RATE), batch_size)]
        for view, tensors in cache.fetch(data, identities, compute).items():
            bank, vectors = tensors["clips"][: len(references)], tensors["clips"][len(references) :]
            distances[view].append(knn_distance(vectors, bank).double().numpy())
        tests.append(queries)
    order = np.concatenate(tests)
    is_anomaly = np.asarray(table["label"])[order] == "anomaly"
    is_target = np.asarray(table["domain"])[order] == "target"
    rules = scoring_rules(table)
    return {
        view: ClipScores(sections[order], is_anomaly, is_target, {RECORDINGS: np.concatenate(parts)}, rules)
        for view, parts in distances.items()
    }


def _embed_rows(
    table: Dataset, rows: np.ndarray, num_samples: int, embed: EmbedFunction, batch_size: int
) -> dict[Hashable, Tensors]:
    parts: dict[Hashable, list[torch.Tensor]] = {}
    for start in range(0, len(rows), batch_size):
        part = rows[start : start + batch_size]
        clips, _ = read_clips(table, part, num_samples)
        for view, values in embed(to_waveform(clips, read_scales(table, part))).items():
            parts.setdefault(view, []).append(values.cpu())
    return {view: {"clips": torch.cat(values)} for view, values in parts.items()}


def _fingerprint(table: Dataset, rows: np.ndarray, num_samples: int, batch_size: int) -> str:
    """Hash of every sample that is embedded."""
    digest = hashlib.sha256(f"recordings {num_samples}".encode())
    for start in range(0, len(rows), batch_size):
        part = rows[start : start + batch_size]
        digest.update(read_clips(table, part, num_samples)[0].tobytes() + read_scales(table, part).tobytes())
    return digest.hexdigest()
