"""The anomaly detector: a frozen encoder, a memory of normal clips, and distances to them as scores."""

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel
from transformers.utils import cached_file

from modeling_retainmix.audio import SAMPLING_RATE, AudioSource, audio_sources
from modeling_retainmix.detection.backends.build import build_bank
from modeling_retainmix.detection.backends.knn import MemoryBank
from modeling_retainmix.detection.backends.mahalanobis import GaussianBank
from modeling_retainmix.detection.clip_embedding import embed_clips
from modeling_retainmix.detection.domain_scores import NormalizedBank
from modeling_retainmix.detection.embedder import Embedder, chosen_layers
from modeling_retainmix.detection.explanation import Explanation, level_deviations, token_contributions
from modeling_retainmix.detection.inputs import reference_domains
from modeling_retainmix.detection.microphones import view_sources
from modeling_retainmix.detection.saved_detector import (
    REFERENCES_FILE,
    SETTINGS_FILE,
    read_references,
    read_settings,
)
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.threshold import ThresholdMethod, score_threshold
from modeling_retainmix.encoders.fbank import FRAME_SHIFT
from modeling_retainmix.hub.detector_card import write_detector_card
from modeling_retainmix.hub.push import push_folder
from modeling_retainmix.hub.remote_code import add_remote_code
from modeling_retainmix.model_names import check_model_name


class AnomalyDetector:
    """Scores clips of one machine by their distance to normal clips.

    By default that is the Mahalanobis distance to a Gaussian of each domain's references, which did best on validation
    machines; `backend="knn"` is the distance to the nearest reference (GenRep, arXiv 2409.05035; Eq. 2 of RetainMix).

    Example:
        ```python
        detector = AnomalyDetector.from_pretrained("org/encoder").fit("fan/train")
        scores = detector.score("fan/test")  # one for each file, sorted by path; higher is more anomalous
        ```

    Every audio argument takes a path, a folder, a list of paths, a [samples] or [batch, samples] array or tensor with
    `sampling_rate=` in Hz, or a column of a `datasets` table. Files of any sampling rate are resampled.

    Args:
        model: an encoder of transformers.
        feature_extractor: its feature extractor.
        settings: see `DetectorSettings`.
        device: where the encoder computes; None: the GPU where there is one.
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
        self.settings = settings
        self.batch_size = batch_size
        self.embedder = Embedder(
            model,
            feature_extractor,
            chosen_layers(settings.layer, model.config),
            device or ("cuda" if torch.cuda.is_available() else "cpu"),
            settings.pooling,
        )
        self.reference_names: list[str] = []
        self._references: dict[str, torch.Tensor] = {}  # one row for each window of a reference
        self._bank: NormalizedBank | None = None

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        device: torch.device | str | None = None,
        batch_size: int = 16,
        trust_remote_code: bool = False,
        revision: str | None = None,
        **settings: Any,
    ) -> Self:
        """Loads an encoder, of which no layer above the one that is read, or a saved detector with its references.

        Args:
            name: folder or Hub name of an encoder or of a saved detector.
            device: where the encoder computes; None: the GPU where there is one.
            batch_size: windows of one forward.
            trust_remote_code: run code from the Hub, for encoders that are not part of this package.
            revision: branch, tag or commit on the Hub; None: the main branch.
            settings: fields of `DetectorSettings`, such as `layer=6, k=1`. A saved detector keeps its own.

        Raises:
            FileNotFoundError: neither a folder with a model nor the name of one.
            ValueError: an unknown setting, one out of range, a layer that the encoder does not have, settings for a
                saved detector, one whose files do not belong together, or damaged weights.
        """
        check_model_name(name, revision)
        known = [field.name for field in fields(DetectorSettings)]
        unknown = [setting for setting in settings if setting not in known]
        if unknown:
            raise ValueError(f"there is no setting {', '.join(unknown)}: settings are {', '.join(known)}")
        file = cached_file(
            name,
            SETTINGS_FILE,
            revision=revision,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,  # the encoder's own loading reports these
        )
        if file is not None and settings:
            raise ValueError(f"{name} is a saved detector with settings of its own: leave out {', '.join(settings)}")
        chosen, names = (DetectorSettings(**settings), []) if file is None else read_settings(file)
        source: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
        config = AutoConfig.from_pretrained(name, **source)
        depth = max(chosen_layers(chosen.layer, config))
        if depth > config.num_hidden_layers:
            raise ValueError(f"layer={depth}: {name} has {config.num_hidden_layers} layers")
        try:
            model = AutoModel.from_pretrained(name, num_hidden_layers=max(1, depth), **source)
        except SafetensorError as error:
            raise ValueError(f"the weights of {name} are damaged ({error}): download or save them again") from error
        detector = cls(model, AutoFeatureExtractor.from_pretrained(name, **source), chosen, device, batch_size)
        if file is not None:
            path, num_layers = cached_file(name, REFERENCES_FILE, revision=revision), len(detector.embedder.layers)
            detector._remember(names, read_references(path, names, chosen, config, num_layers))
        return detector

    def fit(
        self,
        reference: Any,
        sampling_rate: int | None = None,
        domains: Sequence[str] | None = None,
        channel: int | str | None = None,
        far: Any = None,
        far_channel: int | str | None = None,
    ) -> Self:
        """Remembers normal clips; forgets those of an earlier call.

        Args:
            reference: normal clips of one machine, audio in any form.
            sampling_rate: of arrays, in Hz.
            domains: "source" or "target" for each clip; None: what the file names tell where all are DCASE names, or
                else one domain.
            channel: what to take of files with several channels: an index from 0, or "mean".
            far: for the views "residual" and "fusion", the same clips as the far microphone heard them, audio in any
                form and in the same order; None: it is another channel of the files.
            far_channel: what to take of the files of the far microphone, as `channel`.

        Raises:
            FileNotFoundError, ValueError: no clip, a clip that cannot be read, domains that do not fit the clips, or
                far clips that are missing, too many, of another length, or not read by the view.
        """
        self.reference_names, self._references, self._bank = [], {}, None
        return self.add_references(reference, sampling_rate, domains, channel, far, far_channel)

    def add_references(
        self,
        reference: Any,
        sampling_rate: int | None = None,
        domains: Sequence[str] | None = None,
        channel: int | str | None = None,
        far: Any = None,
        far_channel: int | str | None = None,
    ) -> Self:
        """Remembers further normal clips; arguments and errors as in `fit`."""
        sources = view_sources(self.settings.view, reference, sampling_rate, channel, far, far_channel)
        names = [source.name for source in sources]
        is_target = torch.tensor([domain == "target" for domain in reference_domains(names, domains)])
        embeddings = embed_clips(self.embedder, sources, self.settings.windows, self.batch_size, "references")
        clip = torch.from_numpy(embeddings.clip)
        references = {
            "vectors": embeddings.vectors,
            "recording": clip + len(self.reference_names),
            "is_target": is_target[clip],
            "level_moments": embeddings.level_moments,
        }
        if self._references:
            self._check_width(embeddings.vectors, self._references["vectors"])
            references = {key: torch.cat([self._references[key], tensor]) for key, tensor in references.items()}
        self._remember(self.reference_names + names, references)
        return self

    def score(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        channel: int | str | None = None,
        far: Any = None,
        far_channel: int | str | None = None,
        on_error: Callable[[Exception], None] | None = None,
    ) -> np.ndarray:
        """Anomaly scores, [clips] float64; higher is more anomalous.

        Args:
            audio: clips of the machine, audio in any form.
            sampling_rate: of arrays, in Hz.
            channel: what to take of files with several channels: an index from 0, or "mean".
            far, far_channel: the clips of the far microphone, as in `fit`.
            on_error: called with the error of each clip that cannot be read, whose message names it; the clip's score
                is NaN, and the others are scored. None: the first such error is raised.

        Raises:
            FileNotFoundError, ValueError: a clip that cannot be read, far clips as in `fit`, or no references.
        """
        sources = view_sources(self.settings.view, audio, sampling_rate, channel, far, far_channel)
        scores, clip, _ = self._score(sources, on_error)
        of_clips = np.full(len(sources), np.nan)
        if len(clip):
            of_clips[np.unique(clip)] = self.settings.windows.reduce_scores(scores, clip)
        return of_clips

    def score_windows(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        channel: int | str | None = None,
        far: Any = None,
        far_channel: int | str | None = None,
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Scores within long recordings; arguments and errors as in `score`.

        Returns:
            For each clip: where its windows begin, [windows] in seconds, and their scores, [windows] float64.
        """
        sources = view_sources(self.settings.view, audio, sampling_rate, channel, far, far_channel)
        scores, clip, start_seconds = self._score(sources)
        edges = np.flatnonzero(np.diff(clip)) + 1
        return list(zip(np.split(start_seconds, edges), np.split(scores, edges), strict=True))

    def threshold(self, false_alarm_rate: float = 0.1, method: ThresholdMethod = "quantile") -> float:
        """The score above which a clip is called anomalous, from the references alone.

        Every reference recording is scored against the others (leave one recording out).

        Args:
            false_alarm_rate: share of normal clips that may be called anomalous.
            method: "quantile" or "gamma", see `score_threshold`.

        Raises:
            ValueError: no references or too few, or `normalization="test"`, whose scores have no fixed scale.
        """
        normalized = self._require_bank()
        if self.settings.normalization == "test":
            raise ValueError("normalization='test' makes scores depend on the other clips of a call: use 'references'")
        scores = normalized.leave_one_out().amin(dim=1).double().numpy()
        by_recording = self.settings.windows.reduce_scores(scores, normalized.bank.recording.numpy())
        return score_threshold(by_recording, false_alarm_rate, method, normalized.lowest())

    def decide(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        false_alarm_rate: float = 0.1,
        method: ThresholdMethod = "quantile",
        channel: int | str | None = None,
        far: Any = None,
        far_channel: int | str | None = None,
    ) -> np.ndarray:
        """Which clips are anomalous, [clips] bool; arguments and errors as in `score` and `threshold`."""
        threshold = self.threshold(false_alarm_rate, method)  # first: it may find the references too few
        return self.score(audio, sampling_rate, channel, far, far_channel) > threshold

    def explain(
        self, audio: Any, sampling_rate: int | None = None, channel: int | str | None = None
    ) -> list[Explanation]:
        """Maps of what makes each clip differ from its nearest reference; arguments as in `score`.

        Raises:
            ValueError: as `score`; or the map would not add up to the score: it does for "mahalanobis", and for "knn"
                with k=1 and Euclidean distances, of one layer with time-mean pooling in the near view.
        """
        normalized, settings = self._require_bank(), self.settings
        bank = normalized.bank
        kind = (settings.k, settings.metric, settings.pooling, len(self.embedder.layers))
        if not isinstance(bank, GaussianBank | MemoryBank) or kind != (1, "euclidean", "time_mean", 1):
            raise ValueError(
                "explain needs backend='mahalanobis', or 'knn' with k=1 and metric='euclidean', and "
                "pooling='time_mean', view='near' and one layer"
            )
        config, (layer,) = self.embedder.model.config, self.embedder.layers
        explanations = []
        for source in audio_sources(audio, sampling_rate, channel):
            starts, windows = zip(*settings.windows.cut(source.load(), SAMPLING_RATE), strict=True)
            self.embedder.check_length(len(windows[0]), source.name)
            waveforms = torch.from_numpy(np.stack(windows))
            distances = [bank.distances(self.embedder.embed(w)[layer]) for w in waveforms.split(self.batch_size)]
            scores = normalized.normalized(torch.cat(distances))
            window = int(scores.amin(dim=1).argmax())
            domain = bank.domains[int(scores[window].argmin())]
            tokens = self.embedder.tokens(waveforms[window : window + 1])
            pooled = self.embedder.pool(tokens)[layer][0].cpu()
            contrast = bank.contrast(pooled, domain)
            columns = int(tokens.real_columns.sum())  # padding lies behind the clip
            hidden = tokens.hidden[layer][0, : columns * config.num_mel_patches].cpu()
            of_domain = self._references["is_target"] == (domain == "target")
            explanations.append(
                Explanation(
                    contributions=token_contributions(hidden, contrast, config.num_mel_patches).numpy(),
                    level_deviations=level_deviations(
                        tokens.levels[0, :columns].cpu(), self._references["level_moments"][of_domain]
                    ).numpy(),
                    squared_distance=float((pooled.double() - contrast.origin) @ contrast.direction),
                    reference=self.reference_names[contrast.recording],
                    domain=domain,
                    start_seconds=starts[window] / SAMPLING_RATE,
                    column_seconds=config.patch_size * FRAME_SHIFT / SAMPLING_RATE,
                )
            )
        return explanations

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Writes encoder, settings and references: safetensors and JSON, which `from_pretrained` loads.

        Raises:
            ValueError: the detector has no references.
        """
        self._require_bank()
        folder = Path(folder)
        self.embedder.model.save_pretrained(folder)
        self.embedder.feature_extractor.save_pretrained(folder)
        # Layers as numbers: the saved encoder is cut, and its last layer is another one.
        settings = replace(self.settings, layer=tuple(self.embedder.layers)).to_dict()
        names = [Path(name).name for name in self.reference_names]  # whoever gets the folder need not know our paths
        content = json.dumps({"settings": settings, "references": names}, indent=2)
        (folder / SETTINGS_FILE).write_text(content + "\n", encoding="utf-8")
        save_file(self._references, folder / REFERENCES_FILE)

    def push_to_hub(
        self, repo_id: str, private: bool = False, token: str | None = None, license: str | None = None
    ) -> str:
        """Saves the detector with its card in a repository of the Hub by one commit; returns the commit's address.

        `license` is that of weights and references, by default that of the encoder's card. Errors as in
        `save_pretrained` and `hub.push.push_folder`.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            add_remote_code(folder)
            write_detector_card(folder, repo_id, license, self.embedder.model.config.name_or_path)
            return push_folder(folder, repo_id, private=private, token=token)

    def _remember(self, names: list[str], references: dict[str, torch.Tensor]) -> None:
        device = self.embedder.device
        vectors = references["vectors"].to("cpu" if device.type == "mps" else device)  # which has no float64
        num_bands = self.embedder.model.config.num_mel_patches * len(self.embedder.layers)
        bank = build_bank(self.settings, vectors, references["recording"], references["is_target"], num_bands)
        self._bank = NormalizedBank(bank, self.settings.normalization)
        self.reference_names, self._references = names, references

    def _require_bank(self) -> NormalizedBank:
        if self._bank is None:
            raise ValueError("the detector has no references: call fit with normal clips of the machine first")
        return self._bank

    def _score(
        self, sources: Sequence[AudioSource], on_error: Callable[[Exception], None] | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scores of windows, the clip of each, and where in it they begin in seconds; [windows] each."""
        normalized = self._require_bank()
        if self.settings.normalization == "references":
            normalized.lowest()  # finds the references too few before clips are embedded

        def distances(vectors: torch.Tensor) -> torch.Tensor:
            self._check_width(vectors, self._references["vectors"])
            return normalized.bank.distances(vectors)

        windows = self.settings.windows
        scored = embed_clips(self.embedder, sources, windows, self.batch_size, "scoring", distances, on_error)
        if not len(scored.clip):
            return np.empty(0), scored.clip, scored.start_seconds
        scores = normalized.normalized(scored.vectors).amin(dim=1)
        return scores.double().numpy(), scored.clip, scored.start_seconds

    def _check_width(self, vectors: torch.Tensor, others: torch.Tensor) -> None:
        if vectors.shape[1] != others.shape[1]:
            raise ValueError(
                f"the clips differ in length from the references, which pooling={self.settings.pooling!r} does not "
                "level out: use pooling='time_mean', or pad='waveform'"
            )
