"""The losses of the paper: tagging (Eq. 1, 4), the teacher's average (Eq. 5), mixture (Eq. 6), their sum (Eq. 7)."""

import torch
import torch.nn.functional as F


def tagging_loss(logits: torch.Tensor, labels: torch.Tensor, per_clip: bool = False) -> torch.Tensor:
    """Return the binary cross-entropy over all classes (Eq. 4; Eq. 1 where only machine classes are labelled).

    The paper writes a sum over classes; the mean is taken here, so that the weight of the loss does not grow with the
    number of classes.

    Args:
        logits: [batch, classes], before the sigmoid.
        labels: [batch, classes], multi-hot, 0 or 1 (soft labels in [0, 1] under mixup).
        per_clip: return one loss per clip.

    Returns:
        Scalar, mean over batch and classes, in float32; with `per_clip` [batch], mean over classes.

    Raises:
        ValueError: the shapes differ.
    """
    if logits.shape != labels.shape:
        raise ValueError(f"logits have shape {tuple(logits.shape)} but labels {tuple(labels.shape)}")
    if per_clip:
        return F.binary_cross_entropy_with_logits(logits.float(), labels.float(), reduction="none").mean(dim=1)
    return F.binary_cross_entropy_with_logits(logits.float(), labels.float())


def teacher_target(machine_embedding: torch.Tensor, noise_embedding: torch.Tensor, lam: float = 0.5) -> torch.Tensor:
    """Average the teacher's embeddings of the two sources (Eq. 5): lam * machine + (1 - lam) * noise.

    Args:
        machine_embedding: teacher tokens of the machine sound, [batch, tokens, hidden].
        noise_embedding: teacher tokens of the noise, of the same shape.
        lam: weight of the machine sound in [0, 1]; the paper uses 0.5.

    Returns:
        [batch, tokens, hidden].

    Raises:
        ValueError: `lam` is outside [0, 1].
    """
    if not 0.0 <= lam <= 1.0:
        raise ValueError(f"lam must be in [0, 1], got {lam}")
    return lam * machine_embedding + (1.0 - lam) * noise_embedding


def mixture_loss(student: torch.Tensor, teacher: torch.Tensor, per_clip: bool = False) -> torch.Tensor:
    """Return the mean squared error between student tokens and the teacher's average (Eq. 6).

    Args:
        student: tokens of the mixture, [batch, tokens, hidden].
        teacher: average of Eq. 5, of the same shape; no gradient flows into it.
        per_clip: return one loss per clip.

    Returns:
        Scalar, mean over batch, tokens and channels, in float32; with `per_clip` [batch], mean over the others.

    Raises:
        ValueError: the shapes differ.
    """
    if student.shape != teacher.shape:
        raise ValueError(
            f"student tokens have shape {tuple(student.shape)} but the teacher's {tuple(teacher.shape)}: "
            "both encoders need the same patch grid and width"
        )
    if per_clip:
        return F.mse_loss(student.float(), teacher.detach().float(), reduction="none").mean(dim=(1, 2))
    return F.mse_loss(student.float(), teacher.detach().float())


def retainmix_loss(
    tagging: torch.Tensor, mixture: torch.Tensor, alpha: float = 1.0, beta: float = 1.0
) -> torch.Tensor:
    """Return the weighted sum of the two losses (Eq. 7): alpha * tagging + beta * mixture."""
    return alpha * tagging + beta * mixture
