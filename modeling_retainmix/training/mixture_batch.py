"""Turn int16 clips into what student and teacher hear: one batched stage on the training device, without gradients."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import betaincinv

from modeling_retainmix.data.clips import to_waveform
from modeling_retainmix.encoders.feature_extraction_encoder import set_clip_level
from modeling_retainmix.keyed_random import Stream, keyed_uniform
from modeling_retainmix.mixing import draw_snr, linear_mixup, mixing_gains, snr_mixup, spec_augment
from modeling_retainmix.training.arguments import RetainMixTrainingArguments


@dataclass
class MixtureBatch:
    """Features of one batch of training examples.

    Attributes:
        student_features: masked log-mel features of the mixtures, [batch, frames, 128].
        teacher_features: features of the sources, first the machine sounds, then the noises, [2 * batch, frames, 128];
            None without a teacher.
        labels: multi-hot, machine class and (where it is labelled) noise class, [batch, classes] float32; soft under
            linear mixup.
        snr_db: [batch].
        layer_keep: which layers each clip passes through, [batch, layers] bool; None without layerdrop.
    """

    student_features: torch.Tensor
    teacher_features: torch.Tensor | None
    labels: torch.Tensor
    snr_db: torch.Tensor
    layer_keep: torch.Tensor | None


class MixtureBatchBuilder:
    """Mix, extract features, mask; every random choice is keyed by (seed, position of the example).

    Args:
        feature_extractor: gives `log_mel(waveform [batch, samples]) -> [batch, frames, 128]`, and names `clip_level`.
        args: SNR, level, SpecAugment, teacher inputs and seed.
        num_classes: of the label vector.
        num_machine_classes: how many of them, from the first, are machines.
        num_layers: of the student.
        layerdrop: probability with which a clip skips a layer.
    """

    def __init__(
        self,
        feature_extractor: Any,
        args: RetainMixTrainingArguments,
        num_classes: int,
        num_machine_classes: int,
        num_layers: int,
        layerdrop: float,
    ) -> None:
        self.feature_extractor = feature_extractor
        self.args = args
        self.num_classes = num_classes
        self.num_machine_classes = num_machine_classes
        self.num_layers = num_layers
        self.layerdrop = layerdrop

    @torch.no_grad()
    def __call__(self, batch: dict[str, torch.Tensor], augment: bool = True) -> MixtureBatch:
        """Build the features of a batch of `TrainingPairs`, on the device that the batch is on.

        Args:
            batch: as `TrainingPairs` gives it, as tensors.
            augment: mixup, SpecAugment and layerdrop; off for validation.
        """
        args = self.args
        device = batch["machine"].device
        position = batch["position"].cpu().numpy()
        machine, noise = (to_waveform(batch[name], batch[f"{name}_scale"]) for name in ("machine", "noise"))
        snr_db = self._draw_snr(position, Stream.SNR, device)
        a1, a2 = mixing_gains(machine, noise, snr_db, batch["length"], args.level)
        scaled_machine, scaled_noise = a1[:, None] * machine, a2[:, None] * noise
        labels = self._labels(batch)
        mixture = scaled_machine + scaled_noise
        if augment and args.mixup != "none":
            mixture, labels = self._mixup(mixture, labels, batch["length"], position)
        waveforms = [mixture]
        if args.beta > 0:
            recorded = args.teacher_inputs == "recorded"
            waveforms += [machine, noise] if recorded else [scaled_machine, scaled_noise]
        size = len(position)
        features = self._at_clip_level(self.feature_extractor.log_mel(torch.cat(waveforms)), size, machine.shape[1])
        return MixtureBatch(
            student_features=self._mask(features[:size], position) if augment else features[:size],
            teacher_features=features[size:] if args.beta > 0 else None,
            labels=labels,
            snr_db=snr_db,
            layer_keep=None
            if self.layerdrop == 0 or not augment
            else self._draw(position, Stream.LAYERDROP, device, self.num_layers) >= self.layerdrop,
        )

    def _at_clip_level(self, features: torch.Tensor, size: int, num_samples: int) -> torch.Tensor:
        """Move the mixtures, the first `size` clips, to the extractor's clip level, their sources by the same offset.

        So machine and noise stay as they stand in the mixture (Eq. 5).
        """
        level = self.feature_extractor.clip_level
        if level is None:
            return features
        lengths = torch.full((size,), num_samples, device=features.device)
        mixture = features[:size]
        moved = set_clip_level(mixture, level, self.feature_extractor.frame_mask(lengths, num_samples))
        return features + (moved - mixture)[:, :1, :1].repeat(len(features) // size, 1, 1)

    def _draw(
        self, position: np.ndarray, stream: Stream, device: torch.device, width: int | None = None
    ) -> torch.Tensor:
        return torch.from_numpy(keyed_uniform(self.args.seed, position, stream, width)).to(device, torch.float32)

    def _draw_snr(self, position: np.ndarray, stream: Stream, device: torch.device) -> torch.Tensor:
        return draw_snr(self.args.snr_db, self._draw(position, stream, device))

    def _labels(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        labels = torch.zeros(len(batch["machine_class"]), self.num_classes, device=batch["machine_class"].device)
        labels.scatter_(1, batch["machine_class"][:, None], 1.0)
        if self.num_classes > self.num_machine_classes:
            labels.scatter_(1, batch["noise_class"][:, None], 1.0)
        return labels

    def _mixup(
        self, mixture: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor, position: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mix the examples at positions 2 n and 2 n + 1 in both directions; a batch of even size holds both."""
        partner = torch.arange(len(position), device=mixture.device) ^ 1
        if self.args.mixup == "snr":
            snr_db = self._draw_snr(position, Stream.MIXUP, mixture.device)
            return snr_mixup(mixture, labels, partner, snr_db, lengths, self.args.level)
        alpha = self.args.mixup_alpha
        ratio = betaincinv(alpha, alpha, keyed_uniform(self.args.seed, position, Stream.MIXUP))
        return linear_mixup(mixture, labels, partner, torch.from_numpy(ratio).to(mixture))

    def _mask(self, features: torch.Tensor, position: np.ndarray) -> torch.Tensor:
        """Apply one time mask and one frequency mask per clip."""
        if self.args.time_mask_width == 0 and self.args.frequency_mask_width == 0:
            return features
        return spec_augment(
            features,
            self._draw(position, Stream.TIME_MASK, features.device, 2)[:, None],
            self._draw(position, Stream.FREQUENCY_MASK, features.device, 2)[:, None],
            self.args.time_mask_width,
            self.args.frequency_mask_width,
        )
