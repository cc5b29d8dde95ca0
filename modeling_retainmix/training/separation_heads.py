"""Two light heads of a training: from a student's tokens of a mixture, the teacher's tokens of each of its sources.

They leave the student free to hold both sources in any way that a linear map can tell apart, where Eq. 6 asks for
their average itself. They are thrown away: a detector compares the tokens below them, and a saved model is a plain
encoder, which has no place for them. The checkpoints of the run keep them in a file of their own.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel

HEADS_NAME = "separation_heads.safetensors"  # beside the weights of a checkpoint
_ATTRIBUTE = "separation_heads"


class SeparationHeads(nn.Module):
    """Two linear maps of tokens, both the identity at first: the loss then begins where Eq. 6 does.

    Args:
        size: width of the tokens.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.machine, self.noise = nn.Linear(size, size), nn.Linear(size, size)
        for head in (self.machine, self.noise):
            nn.init.eye_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict machine and noise, each [..., size] as the tokens are."""
        return self.machine(tokens), self.noise(tokens)


def add_separation_heads(model: PreTrainedModel) -> None:
    """Give a student heads: parameters like its others for optimizer and processes, but none that is saved with it."""
    heads = SeparationHeads(model.config.hidden_size).to(model.device)
    setattr(model, _ATTRIBUTE, heads)
    model._keys_to_ignore_on_save = {f"{_ATTRIBUTE}.{name}" for name in heads.state_dict()}


def separation_heads(model: nn.Module) -> SeparationHeads | None:
    """Return the heads of a student; None: it has none."""
    heads: SeparationHeads | None = getattr(model, _ATTRIBUTE, None)
    return heads


def save_separation_heads(model: nn.Module, checkpoint: Path) -> None:
    """Write the heads into the folder of a checkpoint."""
    heads = separation_heads(model)
    if heads is not None:
        save_file(heads.state_dict(), checkpoint / HEADS_NAME)


def load_separation_heads(model: nn.Module, checkpoint: Path) -> None:
    """Give the heads the weights of a checkpoint.

    Raises:
        FileNotFoundError: the checkpoint is of a training without heads.
    """
    heads = separation_heads(model)
    if heads is None:
        return
    path = checkpoint / HEADS_NAME
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: resume a training that had --separate_heads, or start again")
    heads.load_state_dict(load_file(path))
