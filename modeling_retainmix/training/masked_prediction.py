"""Masked patch prediction: an encoder that sees some patches of a clip, and a light predictor of the others' codes.

Chen et al., "BEATs", ICML 2023, section 3.3; the encoder without the masked patches is that of He et al., "Masked
Autoencoders", CVPR 2022. The encoder is `BeatsModel` itself: what is trained here is what is saved.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from transformers.utils import ModelOutput

from modeling_retainmix.encoders.configuration_beats import BeatsConfig
from modeling_retainmix.encoders.modeling_beats import BeatsLayer, BeatsModel, BeatsPreTrainedModel
from modeling_retainmix.encoders.positions_beats import BeatsRelativePositionBias
from modeling_retainmix.training.pretraining_targets import RandomProjectionTokenizer, Standardizer, cut_patches

StatisticsPool = Literal["clip", "band"]


def split_tokens(draws: torch.Tensor, keep_ratio: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Deal the tokens of every clip into visible and masked ones, of each kind as many in every clip.

    Args:
        draws: uniform draws, one per token, [batch, tokens]; the smallest are visible.
        keep_ratio: share of visible tokens, in (0, 1); at least one token of either kind remains.

    Returns:
        Indices of the visible tokens [batch, V] and of the masked ones [batch, tokens - V], both rising.
    """
    tokens = draws.shape[1]
    kept = min(max(round(keep_ratio * tokens), 1), tokens - 1)
    order = draws.argsort(dim=1, stable=True)
    return order[:, :kept].sort(dim=1).values, order[:, kept:].sort(dim=1).values


def take_tokens(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Take rows of each clip: values [batch, tokens, size], index [batch, n] -> [batch, n, size]."""
    return values.gather(1, index[:, :, None].expand(-1, -1, values.shape[2]))


def put_tokens(values: torch.Tensor, index: torch.Tensor, tokens: int) -> torch.Tensor:
    """Reverse `take_tokens`: [batch, n, size] -> [batch, tokens, size], zero where nothing is put."""
    whole = values.new_zeros(values.shape[0], tokens, values.shape[2])
    return whole.scatter(1, index[:, :, None].expand_as(values), values)


def encode_visible(encoder: BeatsModel, features: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
    """Run the encoder on the visible patches alone, at the places that they have in the whole clip.

    The positional convolution runs over the whole grid with zeros at masked patches, its input divided by the share of
    visible ones: its expectation is then what it gives at use, where nothing is masked. The relative position bias is
    that of the true distances. With all patches visible this is the forward of `BeatsModel`.

    Args:
        encoder: with an attention that takes a bias for each clip ("eager", or "sdpa" on a GPU).
        features: [batch, frames, mel bins].
        visible: indices of visible tokens, [batch, V], rising.

    Returns:
        Output of the last layer, [batch, V, hidden].
    """
    config, size = encoder.config, encoder.config.patch_size
    batch, kept = visible.shape
    tokens = features.shape[1] // size * config.num_mel_patches
    # A picture one patch wide: the patch embedding computes the visible patches alone.
    patches = take_tokens(cut_patches(features, size), visible)
    # On a CPU in float32: the weight's gradient of this convolution over one channel is five times slower in bfloat16.
    with torch.autocast("cpu", enabled=False) if features.device.type == "cpu" else nullcontext():
        embedded = encoder.patch_embeddings(patches.view(batch, kept * size, size))
    positions = encoder.position_conv(put_tokens(embedded * (tokens / kept), visible, tokens))
    hidden = embedded + take_tokens(positions, visible)
    if not config.layer_norm_first:
        hidden = encoder.layer_norm(hidden)
    hidden = encoder.dropout(hidden)
    bias = None if encoder.position_bias is None else gathered_bias(encoder.position_bias, visible)
    for layer in encoder.layers:
        hidden = layer(hidden, bias, None, None)
    return encoder.layer_norm(hidden) if config.layer_norm_first else hidden


def gathered_bias(position_bias: BeatsRelativePositionBias, index: torch.Tensor) -> torch.Tensor:
    """Return the relative position bias between some tokens of each clip: index [batch, n] -> [batch, heads, n, n]."""
    buckets = position_bias.buckets(index[:, None, :] - index[:, :, None])
    return position_bias.embedding(buckets).permute(0, 3, 1, 2)


class CodePredictor(BeatsPreTrainedModel):
    """A light transformer over the whole grid: encoder outputs at visible patches, mask tokens at the others.

    Args:
        config: of its layers.
        encoder_size: width of the encoder.
        num_codes: outputs of each codebook.
        num_codebooks: codes of a patch.
    """

    def __init__(self, config: BeatsConfig, encoder_size: int, num_codes: int, num_codebooks: int) -> None:
        super().__init__(config)
        self.num_codebooks = num_codebooks
        self.linear = nn.Linear(encoder_size, config.hidden_size)
        # One for each row of patches: relative positions alone do not tell the row of a masked patch.
        self.mask_tokens = nn.Embedding(config.num_mel_patches, config.hidden_size)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.position_bias = BeatsRelativePositionBias(config)
        self.layers = nn.ModuleList(BeatsLayer(config) for _ in range(config.num_hidden_layers))
        self.classifier = nn.Linear(config.hidden_size, num_codes * num_codebooks)
        self.post_init()

    def forward(self, encoded: torch.Tensor, visible: torch.Tensor, masked: torch.Tensor) -> torch.Tensor:
        """Predict the codes of the masked patches.

        Args:
            encoded: outputs of the encoder, [batch, V, encoder_size].
            visible, masked: indices of tokens, [batch, V] and [batch, M], together all of them.

        Returns:
            Logits, [batch, M, codebooks, codes].
        """
        tokens = visible.shape[1] + masked.shape[1]
        blank = self.mask_tokens(masked % self.config.num_mel_patches)
        hidden = torch.cat([self.linear(encoded).to(blank.dtype), blank], dim=1)
        hidden = self.layer_norm(take_tokens(hidden, torch.cat([visible, masked], dim=1).argsort(dim=1)))
        bias = self.position_bias(tokens, hidden.device)
        for layer in self.layers:
            hidden = layer(hidden, bias, None, None)
        return self.classifier(take_tokens(hidden, masked)).unflatten(2, (self.num_codebooks, -1))


@dataclass
class MaskedPredictionOutput(ModelOutput):
    """Output of `MaskedPatchPrediction`.

    Attributes:
        loss: scalar, the weighted sum of both losses.
        logits: loss of each clip, [batch, 1]; what is not finite in it shows which clips are to blame.
        loss_codes: cross-entropy of the masked patches' codes, scalar.
        loss_statistics: squared error of the standardized statistics, scalar; None where they are not predicted.
        accuracy: share of codes that are right, scalar.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    loss_codes: torch.Tensor | None = None
    loss_statistics: torch.Tensor | None = None
    accuracy: torch.Tensor | None = None


class MaskedPatchPrediction(nn.Module):
    """Everything that is trained, and the frozen targets beside it: one forward from features to losses.

    Args:
        encoder: what the training is for. Its attention becomes "eager": the fused one of a CPU shares one position
            bias among the clips, whose visible patches differ.
        predictor_layers: transformer layers of the predictor.
        predictor_size: width of the predictor.
        tokenizer: gives the codes; its buffers are saved with the weights.
        statistics_weight: weight of the statistics' loss; 0: they are not predicted.
        statistics_pool: what the statistics are a linear function of: "clip", the mean of all visible tokens; or
            "band", for every row of patches the mean of its visible tokens, as time-mean pooling of a detector has it.
    """

    def __init__(
        self,
        encoder: BeatsModel,
        tokenizer: RandomProjectionTokenizer,
        predictor_layers: int = 1,
        predictor_size: int = 192,
        statistics_weight: float = 0.0,
        statistics_pool: StatisticsPool = "clip",
    ) -> None:
        super().__init__()
        config = encoder.config
        encoder.set_attn_implementation("eager")
        self.encoder = encoder
        self.tokenizer = tokenizer
        num_codebooks, num_codes, _ = tokenizer.codebook.shape
        head_size = config.hidden_size // config.num_attention_heads
        self.predictor = CodePredictor(
            BeatsConfig(
                hidden_size=predictor_size,
                num_hidden_layers=predictor_layers,
                num_attention_heads=max(1, predictor_size // head_size),
                intermediate_size=4 * predictor_size,
                patch_size=config.patch_size,
                num_mel_bins=config.num_mel_bins,
                layerdrop=0.0,
                layer_wise_gradient_decay_ratio=1.0,
                num_conv_pos_embedding_groups=1,  # it has no positional convolution
            ),
            config.hidden_size,
            num_codes,
            num_codebooks,
        )
        self.statistics_weight = statistics_weight
        self.statistics_pool = statistics_pool
        if statistics_weight > 0:
            rows, size = config.num_mel_patches, 3 * config.patch_size
            self.standardize_statistics = Standardizer(rows, size)
            self.statistics_head = nn.Linear(config.hidden_size, size if statistics_pool == "band" else rows * size)

    def forward(
        self,
        features: torch.Tensor,
        visible: torch.Tensor,
        masked: torch.Tensor,
        codes: torch.Tensor,
        statistics: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> MaskedPredictionOutput:
        """Return the losses of a batch.

        Args:
            features: unmasked, [batch, frames, mel bins].
            visible, masked: indices of tokens, [batch, V] and [batch, M].
            codes: of the masked patches, [batch, M, codebooks] int64.
            statistics: of the unmasked clips, [batch, F, 3 * patch_size]; not read without `statistics_weight`.
            kwargs: not read.
        """
        encoded = encode_visible(self.encoder, features, visible)
        logits = self.predictor(encoded, visible, masked).float()
        errors = nn.functional.cross_entropy(logits.flatten(0, 2), codes.flatten(), reduction="none")
        per_clip = errors.view(len(features), -1).mean(dim=1)
        loss_codes, loss_statistics = per_clip.mean(), None
        if self.statistics_weight > 0 and statistics is not None:
            squares = self._statistics_errors(encoded, visible, statistics)
            loss_statistics = squares.mean()
            per_clip = per_clip + self.statistics_weight * squares
        return MaskedPredictionOutput(
            loss=per_clip.mean(),
            logits=per_clip[:, None].detach(),
            loss_codes=loss_codes.detach(),
            loss_statistics=None if loss_statistics is None else loss_statistics.detach(),
            accuracy=(logits.detach().gather(-1, codes[..., None])[..., 0] >= logits.detach().amax(-1)).float().mean(),
        )

    def _statistics_errors(
        self, encoded: torch.Tensor, visible: torch.Tensor, statistics: torch.Tensor
    ) -> torch.Tensor:
        """Return the mean squared error of each clip, [batch]."""
        wanted = self.standardize_statistics(statistics)
        if self.statistics_pool == "clip":
            predicted = self.statistics_head(encoded.float().mean(dim=1)).float().view_as(wanted)
            return (predicted - wanted).square().mean(dim=(1, 2))
        rows = nn.functional.one_hot(visible % wanted.shape[1], wanted.shape[1]).to(torch.float32)
        count = rows.sum(dim=1)
        pooled = (rows.mT @ encoded.float()) / count.clamp(min=1)[:, :, None]
        squares = (self.statistics_head(pooled).float() - wanted).square().mean(dim=2)
        seen = (count > 0).float()  # a row without a visible patch has nothing to be predicted from
        return (squares * seen).sum(dim=1) / seen.sum(dim=1)
