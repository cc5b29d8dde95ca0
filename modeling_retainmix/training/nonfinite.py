"""The end of a training whose loss is not finite: which step, which clips, and their samples in a file."""

import json
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors.torch import save_file

from modeling_retainmix.data.training_pairs import TrainingPairs
from modeling_retainmix.training.arguments import RetainMixTrainingArguments

SHOWN_CLIPS = 8


def nonfinite_weights(model: torch.nn.Module) -> list[str]:
    """Return the names of the parameters that hold a NaN or an infinite value."""
    return [name for name, weight in model.named_parameters() if not torch.isfinite(weight).all()]


def stop_at_nonfinite_loss(
    loss: float,
    step: int,
    inputs: dict[str, torch.Tensor],
    outputs: Any,
    model: torch.nn.Module,
    pairs: TrainingPairs,
    args: RetainMixTrainingArguments,
) -> NoReturn:
    """Save the batch for inspection and end the training.

    Args:
        loss: NaN or infinite.
        step: optimiser step, from 1.
        inputs: the batch, as `TrainingPairs` gives it.
        outputs: of the model for this batch, with `logits` [clips, classes].
        model: its weights are looked at: once they are not finite, every clip is a suspect.
        pairs: what the batch was read from; it names the clips.
        args: output folder and number of the process.

    Raises:
        FloatingPointError: always.
    """
    broken = nonfinite_weights(model)
    size = len(inputs["position"])
    finite = torch.isfinite(outputs.logits).all(dim=-1).view(-1, size).all(dim=0)
    suspects = (~finite).nonzero().flatten().tolist()
    if broken or not suspects:  # no clip alone is to blame
        suspects = list(range(size))
    clips = [pairs.describe(int(inputs["machine_row"][index]), int(inputs["noise_row"][index])) for index in suspects]
    path = Path(args.output_dir) / f"nonfinite_batch_step{step}_process{args.process_index}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: value.detach().cpu().contiguous() for name, value in inputs.items()},
        path,
        metadata={"loss": str(loss), "step": str(step), "clips": json.dumps(clips)},
    )
    shown = "; ".join(clips[:SHOWN_CLIPS])
    if len(clips) > SHOWN_CLIPS:
        shown += f"; and {len(clips) - SHOWN_CLIPS} more"
    if broken:
        cause = f"the weights are not finite ({broken[0]} and {len(broken) - 1} others): lower --learning_rate"
    elif len(clips) == size > 1:
        cause = "every clip of the batch gives it: lower --learning_rate, or listen to these clips"
    else:
        cause = "listen to these clips, or take them out of the training data"
    raise FloatingPointError(f"the loss is {loss} at step {step} for {shown}. The batch lies in {path}; {cause}")
