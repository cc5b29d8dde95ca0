"""From int16 clips to features, masks and targets of pre-training: one batched stage on the training device."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from modeling_retainmix.data.clips import to_waveform
from modeling_retainmix.encoders.feature_extraction_encoder import set_clip_level
from modeling_retainmix.keyed_random import Stream, keyed_uniform
from modeling_retainmix.mixing import mixing_gains
from modeling_retainmix.training.masked_prediction import split_tokens, take_tokens
from modeling_retainmix.training.pretraining_arguments import PretrainingArguments
from modeling_retainmix.training.pretraining_targets import (
    RandomProjectionTokenizer,
    Standardizer,
    clip_statistics,
)


@dataclass
class PretrainingBatch:
    """Inputs of `MaskedPatchPrediction`.

    Attributes:
        features: unmasked, [batch, frames, mel bins].
        visible, masked: indices of tokens, [batch, V] and [batch, M], rising.
        codes: of the masked patches, [batch, M, codebooks] int64.
        statistics: of the unmasked clips, [batch, F, 3 * patch_size].
    """

    features: torch.Tensor
    visible: torch.Tensor
    masked: torch.Tensor
    codes: torch.Tensor
    statistics: torch.Tensor


class PretrainingBatchBuilder:
    """Machine, noise or mixture, at some level, with some patches masked; all draws keyed by (seed, position).

    Args:
        feature_extractor: gives `log_mel(waveform [batch, samples]) -> [batch, frames, mel bins]`.
        args: shares, SNR, gain, level, mask and seed.
        patch_size, num_mel_patches: of the encoder.
        values: what the tokenizer reads of features, [batch, T * F, size].
        tokenizer: of the codes.
    """

    def __init__(
        self,
        feature_extractor: Any,
        args: PretrainingArguments,
        patch_size: int,
        num_mel_patches: int,
        values: Callable[[torch.Tensor], torch.Tensor],
        tokenizer: RandomProjectionTokenizer,
    ) -> None:
        self.feature_extractor = feature_extractor
        self.args = args
        self.patch_size = patch_size
        self.num_mel_patches = num_mel_patches
        self.values = values
        self.tokenizer = tokenizer
        self._edges = np.cumsum(args.source_shares) / np.sum(args.source_shares)

    @torch.no_grad()
    def __call__(self, batch: dict[str, torch.Tensor]) -> PretrainingBatch:
        """Return a batch of `TrainingPairs` as tensors, on whichever device it lies."""
        features, position = self.features(batch), batch["position"].cpu().numpy()
        tokens = features.shape[1] // self.patch_size * self.num_mel_patches
        draws = self._draw(position, Stream.PATCH_MASK, features.device, tokens)
        visible, masked = split_tokens(draws, 1.0 - self.args.mask_ratio)
        return PretrainingBatch(
            features=features,
            visible=visible,
            masked=masked,
            codes=self.tokenizer(take_tokens(self.values(features), masked), masked),
            statistics=clip_statistics(features, self.patch_size),
        )

    @torch.no_grad()
    def features(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return normalized log-mel features of what is heard, at the clip level, [batch, frames, mel bins]."""
        args, position = self.args, batch["position"].cpu().numpy()
        machine, noise = (to_waveform(batch[name], batch[f"{name}_scale"]) for name in ("machine", "noise"))
        device = machine.device
        low, high = args.snr_db[0], args.snr_db[-1]
        snr_db = low + (high - low) * self._draw(position, Stream.SNR, device)
        _, noise_gain = mixing_gains(machine, noise, snr_db, batch["length"], "target")
        drawn = np.searchsorted(self._edges, keyed_uniform(args.seed, position, Stream.PRETRAINING_SOURCE), "right")
        kind = torch.from_numpy(np.minimum(drawn, 2)).to(device)  # 0: machine, 1: noise, 2: mixture
        machine_gain = (kind != 1).to(machine.dtype)
        noise_gain = torch.where(kind == 2, noise_gain, (kind == 1).to(machine.dtype))
        gain = 10.0 ** ((2.0 * self._draw(position, Stream.PRETRAINING_GAIN, device) - 1.0) * args.gain_db / 20.0)
        heard = (gain * machine_gain)[:, None] * machine + (gain * noise_gain)[:, None] * noise
        features = self.feature_extractor.log_mel(heard)
        if args.clip_level is None:
            return features
        low, high = args.clip_level[0], args.clip_level[-1]
        return set_clip_level(features, low + (high - low) * self._draw(position, Stream.PRETRAINING_LEVEL, device))

    def calibrate(self, batches: list[dict[str, torch.Tensor]], statistics: Standardizer | None = None) -> None:
        """Fit what standardizes the targets, on some batches: the tokenizer's part, and that of the statistics."""
        features = [self.features(batch) for batch in batches]
        self.tokenizer.standardize.fit(torch.cat([self.values(part).float() for part in features]))
        if statistics is not None:
            statistics.fit(torch.cat([clip_statistics(part, self.patch_size) for part in features]))

    def _draw(
        self, position: np.ndarray, stream: Stream, device: torch.device, width: int | None = None
    ) -> torch.Tensor:
        return torch.from_numpy(keyed_uniform(self.args.seed, position, stream, width)).to(device, torch.float32)
