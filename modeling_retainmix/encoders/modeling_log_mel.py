"""Statistics of a log-mel spectrogram with the interface of an encoder: what every trained encoder has to beat."""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from .configuration_log_mel import NUM_STATISTICS, LogMelConfig
from .modeling_encoder import check_inputs


class LogMelModel(PreTrainedModel):
    """Mean, standard deviation and standard deviation of frame differences of each mel bin, patch by patch.

    Nothing is trained: the only parameters are the factors of the three statistics, which are 1.
    """

    config_class = LogMelConfig
    config: LogMelConfig
    base_model_prefix = "log_mel"
    main_input_name = "input_values"
    input_modalities = ("audio",)
    _no_split_modules = ()

    def __init__(self, config: LogMelConfig) -> None:
        config.check()
        super().__init__(config)
        self.factors = nn.Parameter(torch.ones(NUM_STATISTICS))
        self.post_init()

    def forward(self, input_values: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs: Any) -> Any:
        r"""Compute the statistics of a batch.

        Args:
            input_values: [batch, frames, mel bins], normalised log-mel features.
            attention_mask: [batch, frames]; not read, as a patch knows of itself only.
            kwargs: `output_hidden_states` (True, or indices), `return_dict`.

        Returns:
            `last_hidden_state` [batch, time * F, 3 * patch size], index time * F + frequency, of which
            `hidden_states[0]` is the same.

        Raises:
            ValueError: too few or too many frames, or too few mel bins.
        """
        check_inputs(self.config, input_values, attention_mask, None)
        statistics = patch_statistics(input_values, self.config.patch_size)
        scaled = (statistics.unflatten(2, (NUM_STATISTICS, -1)) * self.factors[:, None]).flatten(2)
        hidden_states = (scaled,) if kwargs.get("output_hidden_states") else None
        if kwargs.get("return_dict") is False:
            return (scaled,) if hidden_states is None else (scaled, hidden_states)
        return BaseModelOutput(last_hidden_state=scaled, hidden_states=hidden_states)


def patch_statistics(features: torch.Tensor, patch_size: int) -> torch.Tensor:
    """Statistics over the frames of each patch: mean, standard deviation, standard deviation of frame differences.

    Both deviations are without Bessel's correction; frames behind the last whole patch are not read.

    Args:
        features: [batch, frames, mel bins].
        patch_size: frames and mel bins of a patch.

    Returns:
        [batch, time * F, 3 * patch_size], patch index time * F + frequency, feature index statistic * patch_size +
        bin.
    """
    frames = features.unfold(1, patch_size, patch_size)  # [batch, time, mel bins, frames of a patch]
    moments = torch.stack([frames.mean(dim=-1), _deviation(frames), _deviation(frames.diff(dim=-1))], dim=3)
    by_band = moments.unflatten(2, (features.shape[2] // patch_size, patch_size))  # [batch, time, F, bins, statistics]
    return by_band.transpose(3, 4).flatten(3).flatten(1, 2)


def _deviation(values: torch.Tensor) -> torch.Tensor:
    return (values - values.mean(dim=-1, keepdim=True)).square().mean(dim=-1).sqrt()


__all__ = ["LogMelModel", "patch_statistics"]
