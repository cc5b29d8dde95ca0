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
from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.evaluation.embedding_cache import EmbeddingCache, Tensors
from modeling_retainmix.evaluation.embeddings import EmbedFunction
from modeling_retainmix.evaluation.score_encoders import NamedEncoder, embedders_by_key
from modeling_retainmix.evaluation.scores import NEAREST_REFERENCE, ClipScores

RECORDINGS = ("recordings", 0.0)  # the only cell of the scores


def score_recordings(
    table: Dataset,
    clip_seconds: float,
    encoders: Sequence[NamedEncoder],
    cache: EmbeddingCache,
    settings: DetectorSettings = NEAREST_REFERENCE,
    device: torch.device | str = "cpu",
    batch_size: int = 64,
    description: str = "recordings",
    show_progress: bool = True,
) -> dict[Hashable, ClipScores]:
    """Score all tests, each by the references of its machine type and section, as a detector with these settings.

    Args:
        table: references and labelled tests, with a column `audio` of int16 samples at 16 kHz and the columns
            path (or file_name), machine_type, section, domain, split and label of `read_evaluation_recordings`.
        clip_seconds: clips are cut, or padded with zeros, to this length.
        encoders: with names that differ.
        cache: embeddings that are there are not computed again.
        settings: how clips are compared; layers, pooling and windows are not read from them. By default the anomaly
            score of a test is its distance to the nearest reference (Eq. 2).
        device: where to compute.
        batch_size: clips of one forward.
        description: label of the progress bar.
        show_progress: show the bar.

    Returns:
        {(name, layer): scores}, each with the one cell `RECORDINGS`; its machine types are "<machine type>/<section>",
        and the official score over them is that of the recordings' year.

    Raises:
        ValueError: a section has no references, or these settings have no scores for it; the message names it.
    """
    names = [f"{machine}/{section}" for machine, section in zip(table["machine_type"], table["section"], strict=True)]
    sections, is_reference = np.asarray(names), np.asarray(table["split"]) == "train"
    embed = embedders_by_key(encoders, device)
    identities: dict[Hashable, Mapping[str, Any]] = {
        (encoder.name, layer): encoder.identity(layer, oracle=False)
        for encoder in encoders
        for layer in encoder.layers
    }
    collected: dict[Hashable, list[np.ndarray]] = {view: [] for view in identities}
    is_target_domain = np.asarray(table["domain"]) == "target"
    tests: list[np.ndarray] = []
    for section in tqdm(np.unique(sections).tolist(), desc=description, disable=None if show_progress else True):
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
            vectors, recording_index = tensors["clips"], torch.arange(len(references))
            domains = torch.from_numpy(is_target_domain[references])
            try:
                scores = DomainScores(settings, vectors[: len(references)], recording_index, domains)
                collected[view].append(scores.scores(vectors[len(references) :]))
            except ValueError as error:
                raise ValueError(f"section {section}: {error}") from error
        tests.append(queries)
    order = np.concatenate(tests)
    is_anomaly = np.asarray(table["label"])[order] == "anomaly"
    rules = scoring_rules(table)
    return {
        view: ClipScores(
            sections[order], is_anomaly, is_target_domain[order], {RECORDINGS: np.concatenate(parts)}, rules
        )
        for view, parts in collected.items()
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
