"""How a student's tokens of a mixture are compared with the teacher's of its sources, under the options of a run."""

from dataclasses import dataclass

import torch

from modeling_retainmix.detection.pooling import pool_tokens
from modeling_retainmix.encoders.configuration_encoder import EncoderConfig
from modeling_retainmix.losses import amplitude_share, mixture_loss, separation_loss, teacher_target
from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.separation_heads import SeparationHeads


@dataclass(frozen=True)
class TokenAlignment:
    """The mixture loss (Eq. 6) and what may stand beside it.

    Attributes:
        args: weight of the machine sound, and of the error after pooling.
        config: of the student, whose token grid the teacher has too.
    """

    args: RetainMixTrainingArguments
    config: EncoderConfig

    def __call__(
        self,
        student: torch.Tensor,
        machine: torch.Tensor,
        noise: torch.Tensor,
        snr_db: torch.Tensor,
        heads: SeparationHeads | None = None,
        per_clip: bool = False,
    ) -> dict[str, torch.Tensor]:
        """Compare a batch.

        Args:
            student: tokens of the mixtures, [batch, tokens, hidden].
            machine, noise: teacher tokens of the sources, of the same shape.
            snr_db: of the mixtures, [batch].
            heads: of the student; None: its tokens are compared with the average of Eq. 5.
            per_clip: return one loss per clip.

        Returns:
            `loss_mixture` of the tokens and, with `pooled_weight`, `loss_pooled` of their means over time: scalars, or
            with `per_clip` [batch] each.
        """
        lam = amplitude_share(snr_db, self.args.lam) if self.args.lam_from_snr else self.args.lam

        def error(student: torch.Tensor, machine: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
            if heads is None:
                return mixture_loss(student, teacher_target(machine, noise, lam), per_clip)
            of_machine, of_noise = heads(student)
            return separation_loss(of_machine, of_noise, machine, noise, lam, per_clip)

        losses = {"loss_mixture": error(student, machine, noise)}
        if self.args.pooled_weight > 0:  # the heads are linear: they may come after the mean
            losses["loss_pooled"] = error(*(self._over_time(tokens) for tokens in (student, machine, noise)))
        return losses

    def total(self, losses: dict[str, torch.Tensor]) -> torch.Tensor:
        """Add the losses up, as Eq. 7 weights their sum."""
        if "loss_pooled" not in losses:
            return losses["loss_mixture"]
        return losses["loss_mixture"] + self.args.pooled_weight * losses["loss_pooled"]

    def _over_time(self, tokens: torch.Tensor) -> torch.Tensor:
        """Average as a detector does: [batch, tokens, hidden] -> [batch, F, hidden]."""
        bands = self.config.num_mel_patches
        return pool_tokens(tokens[:, self.config.num_prefix_tokens :], bands).unflatten(1, (bands, -1))
