"""`pipeline("anomaly-detection", model=...)` of transformers: recordings in, verdicts of a detector out.

A saved detector names the pipeline in its `config.json` (`custom_pipelines`, see `hub.remote_code.add_pipeline`); with
this package imported, any encoder makes one with `references=`.
"""

import os
from typing import Any

import torch
from transformers import AutoModel, Pipeline
from transformers.pipelines import PIPELINE_REGISTRY

TASK = "anomaly-detection"


class AnomalyDetectionPipeline(Pipeline):
    """Judge recordings of one machine by a detector.

    Example:
        ```python
        judge = pipeline("anomaly-detection", model="hub_cards/retainmix-beats-tiny", references="fan/train")
        judge("fan/test/clip.wav")  # {"label": "normal", "score": 13.2, "threshold": 15.1}
        ```

    Args:
        model: encoder of a saved detector, or any encoder of this package, as `pipeline` loads it.
        references: recordings of the healthy machine, in any form that `AnomalyDetector.fit` takes; only for an
            encoder that is no saved detector.
        kwargs: those of `Pipeline`, and what `__call__` takes, as defaults.

    Attributes:
        detector: the `AnomalyDetector`, for all that the pipeline does not show.

    Raises:
        ValueError: an encoder without references, references for a saved detector, or what `AnomalyDetector` refuses.
    """

    _load_processor = False
    _load_image_processor = False
    _load_video_processor = False
    _load_feature_extractor = False  # the detector loads the one that it was saved with
    _load_tokenizer = False

    def __init__(self, model: Any, references: Any = None, **kwargs: Any) -> None:
        from modeling_retainmix.detection.detector import AnomalyDetector

        super().__init__(model, **kwargs)
        name = model.config.name_or_path
        self.detector = AnomalyDetector.from_pretrained(
            name,
            device=self.device,
            revision=getattr(model.config, "_commit_hash", None),
            trust_remote_code=type(model).__module__.startswith("transformers_modules"),  # it has been allowed to
        )
        has_references = bool(self.detector.reference_names)
        if has_references and references is not None:
            raise ValueError(f"{name} is a saved detector, which has its references: leave out references=")
        if not has_references:
            if references is None:
                raise ValueError(
                    f"{name} is an encoder and no saved detector: pass references=, recordings of the healthy machine"
                )
            self.detector.fit(references, **{key: kwargs[key] for key in ("channel",) if key in kwargs})
        self.model = self.detector.embedder.model

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Judge one recording, or several.

        Args:
            inputs: a file, an array [samples] at 16 kHz, or a dictionary with `array` (or `raw`) [samples] and its
                `sampling_rate` in Hz; or a list, generator or data set of these.
            kwargs: `false_alarm_rate`, the share of normal recordings that may be called anomalous (0.1); `channel`,
                an index or "mean", of files with several channels.

        Returns:
            For each recording `label` ("normal" or "anomalous"), `score` (higher is more anomalous) and `threshold`,
            above which recordings of its length are anomalous. Where the references are too few for the rate, the
            label is "no verdict" and the threshold None.

        Raises:
            ValueError: a recording that cannot be read, or that has no `sampling_rate`.
        """
        return super().__call__(inputs, **kwargs)

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs: Any) -> None:
        """Save the detector with its references, which `pipeline` loads again."""
        self.detector.save_pretrained(save_directory)

    def _sanitize_parameters(
        self, false_alarm_rate: float | None = None, channel: int | str | None = None, **unknown: Any
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: the pipeline takes false_alarm_rate=, channel= and references=")
        rate = {} if false_alarm_rate is None else {"false_alarm_rate": false_alarm_rate}
        return {}, {} if channel is None else {"channel": channel}, rate

    def preprocess(self, input_: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the arguments of `AnomalyDetector.score` for one recording."""
        if isinstance(input_, dict):
            array = input_.get("array", input_.get("raw"))
            if array is None or "sampling_rate" not in input_:
                raise ValueError(f"the recording has {', '.join(input_)}: it needs array and sampling_rate")
            return {"audio": [array], "sampling_rate": input_["sampling_rate"]}
        if isinstance(input_, str | os.PathLike):
            return {"audio": input_, "sampling_rate": None}
        return {"audio": [input_], "sampling_rate": self.detector.embedder.feature_extractor.sampling_rate}

    def _forward(self, input_tensors: dict[str, Any], channel: int | str | None = None) -> dict[str, Any]:
        from modeling_retainmix.detection.inputs import clip_sources

        sources = clip_sources(self.detector.settings.microphones, **input_tensors, channel=channel)
        if len(sources) != 1:
            raise ValueError(f"{input_tensors['audio']} holds {len(sources)} recordings: pass them as a list of files")
        clips: list[Any] = []
        self.detector.score(sources, on_score=clips.append)
        return {"score": torch.tensor(clips[0].score), "num_windows": clips[0].num_windows}

    def postprocess(self, model_outputs: dict[str, Any], false_alarm_rate: float = 0.1) -> dict[str, Any]:
        """Compare a score with the threshold of its number of windows."""
        score = float(model_outputs["score"])
        if self.detector.threshold_basis(false_alarm_rate).num_missing:
            return {"label": "no verdict", "score": score, "threshold": None}
        threshold = self.detector.threshold(false_alarm_rate, num_windows=model_outputs["num_windows"])
        return {"label": "anomalous" if score > threshold else "normal", "score": score, "threshold": threshold}


PIPELINE_REGISTRY.register_pipeline(TASK, AnomalyDetectionPipeline, pt_model=AutoModel, type="audio")
