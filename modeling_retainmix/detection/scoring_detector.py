"""What a detector remembers and how it scores: a frozen encoder, normal clips, and distances to them."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from modeling_retainmix.atomic import moved_into
from modeling_retainmix.audio import AudioSource
from modeling_retainmix.conversion.encoders_by_name import loadable_name
from modeling_retainmix.detection.clip_embedding import ClipEmbeddings, embed_clips
from modeling_retainmix.detection.cut_recordings import describe_cuts
from modeling_retainmix.detection.embedder import Embedder
from modeling_retainmix.detection.groups import describe_one_session, recording_groups
from modeling_retainmix.detection.inputs import check_normal, clip_sources, reference_domains
from modeling_retainmix.detection.level_cells import CELL
from modeling_retainmix.detection.load_encoder import chosen_layers, default_blocks, embedding_layer, load_encoder
from modeling_retainmix.detection.memory_notes import MemoryNotes
from modeling_retainmix.detection.reference_memory import ReferenceMemory, reference_tensors
from modeling_retainmix.detection.saved_detector import (
    check_setting_names,
    find_settings,
    read_notes,
    read_references,
    read_settings,
    read_unchanged,
    write_detector,
)
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.threshold import threshold_table
from modeling_retainmix.detection.vector_layout import LOG_MEL
from modeling_retainmix.detection.windows import ClipScore
from modeling_retainmix.hub.detector_card import write_detector_card
from modeling_retainmix.hub.push import push_folder, repository_name
from modeling_retainmix.hub.remote_code import add_pipeline, add_remote_code
from modeling_retainmix.shipped import SHIPPED
from modeling_retainmix.user_warnings import warn


class ScoringDetector:
    """Score clips of one machine by their distance to normal clips; `AnomalyDetector` also decides and explains.

    Args:
        model: an encoder of transformers.
        feature_extractor: its feature extractor.
        settings: see `DetectorSettings`.
        device: where the encoder computes; None: the GPU if there is one.
        batch_size: windows of one forward.
    """

    def __init__(
        self,
        model: Any,
        feature_extractor: Any,
        settings: DetectorSettings,
        device: torch.device | str | None = None,
        batch_size: int = 16,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: use at least 1 window")
        if settings.layer is None:
            settings = replace(settings, layer=default_blocks(model.config, settings.backend))
        self.settings = settings
        self.batch_size = batch_size
        self.embedder = Embedder(
            model,
            feature_extractor,
            chosen_layers(settings.layer, model.config),
            device or ("cuda" if torch.cuda.is_available() else "cpu"),
            settings.pooling,
            settings.pooling_p,
            settings.rdp_gamma,
            settings.max_frequency,
        )
        self._memory: ReferenceMemory | None = None

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str] = SHIPPED,
        device: torch.device | str | None = None,
        batch_size: int = 16,
        trust_remote_code: bool = False,
        revision: str | None = None,
        **settings: Any,
    ) -> Self:
        """Load an encoder, of which no layer above the one that is read, or a saved detector with its references.

        Args:
            name: folder or Hub name of an encoder or of a saved detector, or an original checkpoint, converted
                once (`loadable_name`). The default is the encoder that comes with the package; "log-mel": no encoder,
                but statistics of the log-mel spectrogram (`LogMelModel`) as recorded. Neither needs a download.
            device: where the encoder computes; None: the GPU if there is one.
            batch_size: windows of one forward.
            trust_remote_code: run code from the Hub, for encoders that are not part of this package.
            revision: branch, tag or commit on the Hub; None: the main branch.
            settings: fields of `DetectorSettings`, such as `layer=6, k=1`. A saved detector keeps those it was saved
                with.

        Raises:
            FileNotFoundError: neither a folder with a model nor the name of one.
            ValueError: an unknown setting, one out of range, a layer that the encoder does not have, settings for a
                saved detector, one whose files do not belong together, a model of another kind, or weights that are
                damaged or lack a tensor.
        """
        check_setting_names(settings)
        file = None
        if name != LOG_MEL:
            name = loadable_name(name, revision)
            file = find_settings(name, revision)
        if file is not None and settings:
            raise ValueError(f"{name} is a saved detector, which has its settings: leave out {', '.join(settings)}")

        def read() -> Any:
            chosen, names = (DetectorSettings(**settings), []) if file is None else read_settings(file)
            model, extractor = load_encoder(name, chosen.layer, revision, trust_remote_code)
            if file is not None and chosen.layer is None:  # saved before the layers were written down
                chosen = replace(chosen, layer=embedding_layer(model.config))
            detector = cls(model, extractor, chosen, device, batch_size)
            if file is not None:
                layout, config = detector.embedder.layout, detector.embedder.model.config
                num_bands = (config.num_mel_patches, config.num_mel_bins // CELL)
                tensors = read_references(name, revision, names, chosen, layout, *num_bands)
                notes, tensors = read_notes(file, tensors, len(names))
                detector._remember(names, tensors, notes)
            return detector

        detector: Self = read() if file is None else read_unchanged(Path(file).parent, read)
        return detector

    def fit(
        self,
        reference: Any,
        sampling_rate: int | None = None,
        domains: Any = None,
        channel: int | str | None = None,
        far: Any = None,
        far_channel: int | str | None = None,
        groups: Any = None,
    ) -> Self:
        """Remember normal clips; forget those of an earlier call.

        Args:
            reference: normal clips of one machine, audio in any form.
            sampling_rate: of arrays, in Hz.
            domains: "source" or "target" (or 0 or 1, or bool) for each clip, in a list, array, tensor or column, or
                one for all; a text in any form of `groups`, which tells the conditions of recordings: the most
                frequent one is the source, the others are the target; None: those in the file names if all are DCASE
                names, or else one domain.
            channel: what to take of files with several channels: an index from 0, or "mean".
            far: for `microphones` other than "near", the same clips as the far microphone heard them, audio in any
                form and in the same order; None: it is another channel of the files.
            far_channel: what to take of the files of the far microphone, as `channel`.
            groups: the recording session of each clip, in any form that `recording_groups` takes, such as "folder",
                "sessions.csv:session" or "session_([0-9]+)"; None: every clip is one of its own. Clips of a session
                are left out together where a threshold leaves one out.

        Warns:
            UserWarning: a recording is given twice, files look cut from one recording and have no groups, all are of
                one group, references differ from the earlier ones in what is not the machine's, or one is far from all
                others.

        Raises:
            FileNotFoundError, ValueError: no clip, a clip that cannot be read, one that is named as an anomaly,
                domains or groups that do not fit the clips, the same recording in both domains, or far clips that are
                missing, too many, of another length, or not read.
        """
        before, self._memory = self._memory, None
        try:
            return self.add_references(reference, sampling_rate, domains, channel, far, far_channel, groups)
        except BaseException:
            self._memory = before
            raise

    def add_references(
        self,
        reference: Any,
        sampling_rate: int | None = None,
        domains: Any = None,
        channel: int | str | None = None,
        far: Any = None,
        far_channel: int | str | None = None,
        groups: Any = None,
    ) -> Self:
        """Remember further normal clips; arguments and errors as in `fit`, a group of an earlier call goes on.

        Conditions cannot tell domains here: how frequent they are is seen of all references only.
        """
        sources = clip_sources(self.settings.microphones, reference, sampling_rate, channel, far, far_channel)
        names = [source.name for source in sources]
        check_normal(names)
        new_groups = recording_groups(names, groups)
        memory = self._memory
        domain_of_each = reference_domains(names, domains, are_added=memory is not None)
        is_target_domain = torch.tensor([domain == "target" for domain in domain_of_each])
        width = None if memory is None else memory.width
        embeddings = embed_clips(
            self.embedder,
            sources,
            self.settings.windows,
            self.batch_size,
            "references",
            width=width,
            for_references=True,
        )
        tensors = reference_tensors(embeddings, is_target_domain, memory)
        notes = (MemoryNotes([]) if memory is None else memory.notes).with_references(new_groups)
        grown = self._remember([*self.reference_names, *names], tensors, notes)
        for message in (
            describe_cuts(embeddings.seams, names, is_target_domain.numpy()) if groups is None else None,
            memory and memory.describe_differences(embeddings.traits, names),
            describe_one_session(grown.notes.groups, groups),
            grown.describe_copies(since=len(grown.names) - len(names)),
            grown.describe_odd_ones(since=len(grown.names) - len(names)),
        ):
            if message:
                warn(message)
        return self

    @property
    def reference_names(self) -> list[str]:
        """Names of the reference recordings."""
        return [] if self._memory is None else self._memory.names

    @property
    def reference_domains(self) -> list[str]:
        """Domain of each reference recording, "source" or "target"."""
        if self._memory is None:
            return []
        domains = ["source"] * len(self._memory.names)
        tensors = self._memory.tensors
        for index in tensors["recording_index"][tensors["is_target_domain"]].tolist():
            domains[index] = "target"
        return domains

    def score(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        channel: int | str | None = None,
        far: Any = None,
        far_channel: int | str | None = None,
        on_error: Callable[[Exception], None] | None = None,
        on_score: Callable[[ClipScore], None] | None = None,
    ) -> np.ndarray:
        """Score clips: [clips] float64; higher is more anomalous.

        A long clip has the largest score of its windows, which grows with their number: compare it with
        `threshold(num_windows=)`, as `decide` does.

        Args:
            audio: clips of the machine, audio in any form.
            sampling_rate: of arrays, in Hz.
            channel: what to take of files with several channels: an index from 0, or "mean".
            far, far_channel: the clips of the far microphone, as in `fit`.
            on_error: called with the error of each clip that cannot be read, whose message names it; the clip's score
                is NaN, and the others are scored. None: the first such error is raised.
            on_score: called with the `ClipScore` of each clip as soon as it is known; with `normalization="test"`, at
                the end. Clips of unlike lengths may come in another order than given.

        Warns:
            UserWarning: clips differ from all references in what is not the machine's, such as length, sampling rate,
                bandwidth or level; once a call.

        Raises:
            FileNotFoundError, ValueError: a clip that cannot be read, far clips as in `fit`, or no references.
        """
        sources = clip_sources(self.settings.microphones, audio, sampling_rate, channel, far, far_channel)
        return self._score_clips(sources, on_error, on_score)[0]

    def score_windows(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        channel: int | str | None = None,
        far: Any = None,
        far_channel: int | str | None = None,
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Score the windows of long recordings; arguments and errors as in `score`.

        Returns:
            For each clip: the starts of its windows, [windows] in seconds, and their scores, [windows] float64.
        """
        sources = clip_sources(self.settings.microphones, audio, sampling_rate, channel, far, far_channel)
        scores, clip_index, start_seconds = self._score_windows(sources)
        edges = np.flatnonzero(np.diff(clip_index)) + 1
        return list(zip(np.split(start_seconds, edges), np.split(scores, edges), strict=True))

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write encoder, settings and references: safetensors and JSON, which `from_pretrained` loads.

        They are written aside and take their places at the end: until then a detector that is there stays as it is.
        The JSON also holds thresholds for readers without this package, see `threshold_table`.

        Raises:
            ValueError: the detector has no references.
        """
        memory = self._fitted()
        # Layers as numbers: the saved encoder is cut, and its last layer is another one.
        settings = replace(self.settings, layer=tuple(self.embedder.layers))
        names = [Path(name).name for name in memory.names]  # whoever gets the folder need not know our paths
        with moved_into(folder) as staging:
            self.embedder.model.save_pretrained(staging)
            self.embedder.feature_extractor.save_pretrained(staging)
            add_pipeline(staging)
            thresholds = threshold_table(memory.threshold, memory.num_units)
            write_detector(staging, settings, names, memory.tensors, thresholds, memory.notes.shared())

    def push_to_hub(
        self, repo_id: str, private: bool = False, token: str | None = None, license: str | None = None
    ) -> str:
        """Save the detector with its card in a repository of the Hub by one commit; return the commit's address.

        `license` is that of weights and references, by default that of the encoder's card. Errors as in
        `save_pretrained` and `hub.push.push_folder`.
        """
        repo_id = repository_name(repo_id, token)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            add_remote_code(folder)
            write_detector_card(folder, repo_id, license, self.embedder.model.config.name_or_path)
            return push_folder(folder, repo_id, private=private, token=token)

    def _remember(self, names: list[str], tensors: dict[str, torch.Tensor], notes: MemoryNotes) -> ReferenceMemory:
        device, layout = self.embedder.device, self.embedder.layout
        self._memory = ReferenceMemory(self.settings, names, tensors, device, layout, notes)
        return self._memory

    def _fitted(self) -> ReferenceMemory:
        if self._memory is None:
            raise ValueError("the detector has no references: call fit with normal clips of the machine first")
        return self._memory

    def _score_clips(
        self,
        sources: Sequence[AudioSource],
        on_error: Callable[[Exception], None] | None = None,
        on_score: Callable[[ClipScore], None] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Score clips: their scores, NaN for those that cannot be read, and numbers of windows; [clips] each."""
        window_scores, clip_index, _ = self._score_windows(sources, on_error, on_score)
        scores, num_windows = np.full(len(sources), np.nan), np.bincount(clip_index, minlength=len(sources))
        if len(clip_index):
            scores[num_windows > 0] = self.settings.windows.reduce_scores(window_scores, clip_index)
        if on_score is not None and self.settings.normalization == "test":
            for index, (score, count) in enumerate(zip(scores.tolist(), num_windows.tolist(), strict=True)):
                on_score(ClipScore(index, score, count))
        return scores, num_windows

    def _score_windows(
        self,
        sources: Sequence[AudioSource],
        on_error: Callable[[Exception], None] | None = None,
        on_score: Callable[[ClipScore], None] | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Score windows: their scores, the clip of each, and their starts in seconds; [windows] each."""
        windows, scores = self.settings.windows, self._fitted().scores

        def report(index: int, distances: torch.Tensor | None) -> None:
            if on_score is None or self.settings.normalization == "test":
                return
            if distances is None:
                on_score(ClipScore(index, float("nan"), 0))
                return
            window_scores = scores.from_distances(distances)
            (score,) = windows.reduce_scores(window_scores, np.zeros(len(distances), dtype=np.int64))
            on_score(ClipScore(index, float(score), len(distances)))

        scored = self._embed_tests(sources, scores.distances, on_error, report)
        has_windows = len(scored.clip_index) > 0  # else no clip could be read
        window_scores = scores.from_distances(scored.vectors) if has_windows else np.empty(0)
        return window_scores, scored.clip_index, scored.start_seconds

    def _embed_tests(
        self,
        sources: Sequence[AudioSource],
        transform: Callable[[torch.Tensor], torch.Tensor],
        on_error: Callable[[Exception], None] | None = None,
        on_clip: Callable[[int, torch.Tensor | None], None] | None = None,
    ) -> ClipEmbeddings:
        """Embed clips that are no references, with `transform` of their vectors; warn of what is not the machine's."""
        memory = self._fitted()
        memory.scores.check_references()
        common = (self.embedder, sources, self.settings.windows, self.batch_size, "scoring", transform, memory.width)
        embedded = embed_clips(*common, on_error, on_clip)
        message = memory.describe_differences(embedded.traits, [source.name for source in sources])
        if message:
            warn(message)
        return embedded
