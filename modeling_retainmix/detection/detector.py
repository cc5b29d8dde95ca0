"""The anomaly detector: scores of clips, decisions from them, and what speaks for these."""

import os
from typing import Any

import numpy as np

from modeling_retainmix.detection.clip_embedding import load_clip
from modeling_retainmix.detection.events import Event, find_events, level_rule
from modeling_retainmix.detection.explanation import Explanation, explain_clip
from modeling_retainmix.detection.feedback import TaughtDetector
from modeling_retainmix.detection.inputs import clip_sources
from modeling_retainmix.detection.recording_health import RecordingHealth, recording_health
from modeling_retainmix.detection.recording_traits import Traits
from modeling_retainmix.detection.threshold import threshold_table
from modeling_retainmix.user_warnings import warn


class AnomalyDetector(TaughtDetector):
    """Score clips of one machine by their distance to normal clips.

    By default clips are compared by a layer of the shipped encoder, by statistics of their log-mel spectrogram and by
    how fast both change, in spaces whitened by the references, which did best on validation machines and real ones.
    Another encoder is given by its name, "log-mel" is the statistics alone. `backend="knn"` is the plain distance to
    the nearest reference (GenRep, arXiv 2409.05035; Eq. 2 of RetainMix).

    Example:
        ```python
        detector = AnomalyDetector.from_pretrained().fit("fan/train")
        scores = detector.score("fan/test")  # one for each file, sorted by path; higher is more anomalous
        ```

    Every audio argument takes a path, a folder, a list of paths, a [samples] or [batch, samples] array or tensor with
    `sampling_rate=` in Hz, or a column of a `datasets` table. Files of any sampling rate are resampled.

    Its arguments are those of `ScoringDetector`, which remembers and scores.
    """

    def export_onnx(self, folder: str | os.PathLike[str], int8: bool = False) -> None:
        """Write the detector as an ONNX graph from samples to score, which runs without torch, and its description.

        `retainmix_score` reads both, `scorer.onnx` and `scorer.json`: it cuts, scores and decides as this detector.
        The graph is compared with the detector on noise of ten lengths; `provenance.largest_deviation` says how far
        scores differ. Needs the extra `retainmix[onnx]`.

        Args:
            folder: made where it is missing.
            int8: store the weights of the encoder's matrices in 8 bits: a smaller file, other scores.

        Raises:
            ImportError: the extra is not installed.
            ValueError: no references; a backend other than "knn", "whitened" and "mahalanobis", two microphones,
                `normalization="test"` or a pooling that keeps the length of clips; an encoder that is not in float32,
                or none with `int8`; or scores that differ by more than 1e-4.
        """
        try:
            from modeling_retainmix.export.onnx_files import export_scorer
        except ImportError as error:
            raise ImportError(
                f"an ONNX file needs onnx and onnxruntime ({error}): pip install 'retainmix[onnx]'"
            ) from error
        memory = self._fitted()
        thresholds = threshold_table(memory.threshold, memory.num_units)
        export_scorer(folder, self.embedder, self.settings, memory.scores, thresholds, memory.names, int8)

    def explain(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        channel: int | str | None = None,
        far: Any = None,
        far_channel: int | str | None = None,
    ) -> list[Explanation]:
        """Map what makes each clip differ from its nearest reference; arguments and warnings as in `score`.

        Raises:
            ValueError: as `score`; or the map would not add up to the score: it does for "mahalanobis", for "whitened"
                with k=1 and for "knn" with k=1 and Euclidean distances, with time-mean pooling and microphones "near"
                or "cancel".
        """
        memory, settings = self._fitted(), self.settings
        scores = memory.scores
        has_contrast = all(backend.has_contrast for backend in scores.backends.values())
        if not has_contrast or settings.pooling != "time_mean" or settings.has_two_vectors:
            raise ValueError(
                "explain needs backend='mahalanobis', or 'knn' with k=1 and metric='euclidean', or 'whitened' with "
                "k=1, and pooling='time_mean' and microphones='near' or 'cancel'"
            )
        common = (self.embedder, settings.windows, scores, memory.tensors, memory.names, self.batch_size)
        sources = clip_sources(settings.microphones, audio, sampling_rate, channel, far, far_channel)
        explanations, traits = [], []
        for source in sources:
            clip = load_clip(source)
            explanations.append(explain_clip(clip.waveform, source.name, *common))
            traits.append(clip.traits)
        message = memory.describe_differences(np.asarray(traits), [source.name for source in sources])
        if message:
            warn(message)
        return explanations

    def events(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        channel: int | str | None = None,
        far: Any = None,
        far_channel: int | str | None = None,
    ) -> list[list[Event]]:
        """Say what each clip has more or less of than the references, where and when, strongest first.

        Levels are compared, whatever the encoder, pooling and backend; of two microphones the near one's, or what is
        left of it (`microphones="cancel"`, which needs `far`). Arguments and errors as in `score`. See `Event` and
        `level_rule`.
        """
        memory, embedder, microphones = self._fitted(), self.embedder, self.settings.microphones
        patch_size = embedder.model.config.patch_size
        rule = level_rule(memory.tensors, memory.units, patch_size, embedder.hears_level)
        heard = microphones if microphones == "cancel" else "near"
        sources = clip_sources(heard, audio, sampling_rate, channel, far, far_channel)
        rates = memory.tensors["traits"][:, Traits._fields.index("sampling_rate")].numpy()
        options = embedder, self.settings.windows, rule, self.batch_size, rates
        return [find_events(source, *options) for source in sources]

    def recording_health(
        self, audio: Any, sampling_rate: int | None = None, channel: int | str | None = None
    ) -> list[RecordingHealth]:
        """Examine recordings themselves: clipping, dropouts, silence, energy that is not heard, and, after `fit`, what
        differs from the references. Arguments as in `score`, errors as in `recording_health.recording_health`.
        """
        memory, settings = self._memory, self.settings
        traits = None if memory is None else memory.tensors["traits"].numpy()
        return recording_health(audio, sampling_rate, channel, traits, settings.windows, settings.max_frequency)
