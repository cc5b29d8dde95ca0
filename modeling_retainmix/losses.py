"""The losses of the paper: tagging (Eq. 1, 4), the teacher's average (Eq. 5), mixture (Eq. 6), their sum (Eq. 7).

Beyond the paper: a weight of Eq. 5 that follows the SNR, and a loss whose two predictions stay apart.
"""

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


def teacher_target(
    machine_embedding: torch.Tensor, noise_embedding: torch.Tensor, lam: float | torch.Tensor = 0.5
) -> torch.Tensor:
    """Average the teacher's embeddings of the two sources (Eq. 5): lam * machine + (1 - lam) * noise.

    Args:
        machine_embedding: teacher tokens of the machine sound, [batch, tokens, hidden].
        noise_embedding: teacher tokens of the noise, of the same shape.
        lam: weight of the machine sound in [0, 1]; the paper uses 0.5. One for each clip, [batch], is not checked, so
            that nothing waits for a GPU.

    Returns:
        [batch, tokens, hidden].

    Raises:
        ValueError: `lam` is a number outside [0, 1].
    """
    if isinstance(lam, torch.Tensor):
        lam = lam[:, None, None]
    elif not 0.0 <= lam <= 1.0:
        raise ValueError(f"lam must be in [0, 1], got {lam}")
    return lam * machine_embedding + (1.0 - lam) * noise_embedding


def amplitude_share(snr_db: torch.Tensor, lam: float = 0.5) -> torch.Tensor:
    """Return the weight of the machine sound in Eq. 5 that follows the SNR: its share of the mixture's amplitude.

    lam * r / (lam * r + 1 - lam), with r = 10^(snr_db / 20) the ratio of the amplitudes: at 0 dB it is `lam`. For the
    paper's 0.5 a mixture (Eq. 3) is, but for its level, the convex combination of its sources at unit power with just
    these weights. The share of the power, r^2 in place of r, would leave at +-10 dB a tenth for the weaker source.

    Args:
        snr_db: of each mixture, [batch], in dB.
        lam: weight at 0 dB, in [0, 1].

    Returns:
        [batch], in [0, 1].
    """
    ratio = lam * 10.0 ** (snr_db / 20.0)
    return ratio / (ratio + (1.0 - lam))


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


def separation_loss(
    machine_prediction: torch.Tensor,
    noise_prediction: torch.Tensor,
    machine: torch.Tensor,
    noise: torch.Tensor,
    lam: float | torch.Tensor = 0.5,
    per_clip: bool = False,
) -> torch.Tensor:
    """Return the mean squared errors of two predictions from a mixture, of its machine sound and of its noise.

    lam * error of the machine + (1 - lam) * error of the noise. Where both predictions are the student's tokens
    themselves, this is Eq. 6 but for a constant, with the same gradient: the average of Eq. 5 is what lies nearest to
    both sources.

    Args:
        machine_prediction, noise_prediction: from the tokens of the mixture, [batch, tokens, hidden] each.
        machine, noise: teacher tokens of the two sources, of the same shape; no gradient flows into them.
        lam: weight of the machine sound in [0, 1], of all clips or of each, [batch].
        per_clip: as in `mixture_loss`, which gives the errors.

    Returns:
        Scalar or [batch], as in `mixture_loss`.

    Raises:
        ValueError: the shapes differ.
    """
    machine_error = mixture_loss(machine_prediction, machine, per_clip=True)
    noise_error = mixture_loss(noise_prediction, noise, per_clip=True)
    error = lam * machine_error + (1.0 - lam) * noise_error
    return error if per_clip else error.mean()


def retainmix_loss(
    tagging: torch.Tensor, mixture: torch.Tensor, alpha: float = 1.0, beta: float = 1.0
) -> torch.Tensor:
    """Return the weighted sum of the two losses (Eq. 7): alpha * tagging + beta * mixture."""
    return alpha * tagging + beta * mixture
