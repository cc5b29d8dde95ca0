"""`PretrainingTrainer`: masked patch prediction under the Trainer, with averaged weights, a probe and a log."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import default_convert
from transformers import TrainerCallback

from modeling_retainmix.atomic import replace_folder, whole_file, whole_folder
from modeling_retainmix.data.training_pairs import TrainingPairs
from modeling_retainmix.detection.load_encoder import embedding_layer
from modeling_retainmix.encoders import BeatsConfig, BeatsModel
from modeling_retainmix.hub.pretrained_card import write_pretrained_card
from modeling_retainmix.hub.remote_code import add_remote_code
from modeling_retainmix.training.masked_prediction import MaskedPatchPrediction, MaskedPredictionOutput
from modeling_retainmix.training.pair_trainer import PairTrainer
from modeling_retainmix.training.pretraining_arguments import PretrainingArguments
from modeling_retainmix.training.pretraining_batch import PretrainingBatchBuilder
from modeling_retainmix.training.pretraining_probe import best_layer
from modeling_retainmix.training.pretraining_targets import LogMelPatches, TeacherTokens
from modeling_retainmix.training.throughput import forward_flops

AVERAGE_NAME = "average.safetensors"  # beside the weights of a checkpoint
LOG_NAME = "log.jsonl"
BEST_NAME, LAST_NAME = "best", "last"
RECORD_NAME = "pretraining.json"
_CALIBRATION_BATCH = 32


class PretrainingTrainer(PairTrainer):
    """Train an encoder to predict the codes of masked patches.

    Every line of the log and every probe goes into `log.jsonl` of the output folder; the averaged weights with the
    best probe so far lie in `best/`, those of the end in `last/`, both as plain encoders.

    Args:
        model: encoder, predictor and targets.
        args: training arguments.
        train_dataset: pairs of sounds and noise.
        feature_extractor: of the encoder.
        teacher_tokens: what the tokenizer reads in a second iteration; None: the patches.
        probe: scores an encoder, called with it and its feature extractor (`LayerProbe`); None: no probe.
        description: statistics of the training sounds, for the record and the card.
        kwargs: further arguments of `transformers.Trainer`.
    """

    args: PretrainingArguments

    def __init__(
        self,
        model: MaskedPatchPrediction,
        args: PretrainingArguments,
        train_dataset: TrainingPairs,
        feature_extractor: Any,
        teacher_tokens: TeacherTokens | None = None,
        probe: Callable[[Any, Any], Mapping[str, float]] | None = None,
        description: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, args, train_dataset, feature_extractor, **kwargs)
        config = model.encoder.config
        self.description = dict(description or {"training": "not recorded"})
        self.probe = probe
        self.average = AveragedModel(model.encoder, multi_avg_fn=_warmed_average(args.ema_decay))
        self.build_batch = PretrainingBatchBuilder(
            feature_extractor,
            args,
            config.patch_size,
            config.num_mel_patches,
            teacher_tokens or LogMelPatches(config.patch_size),
            model.tokenizer,
        )
        self._calibrate(model)
        self.add_callback(_PretrainingCallback(self))

    def _calibrate(self, model: MaskedPatchPrediction) -> None:
        """Standardize the targets by the first clips of the training, which every process and resumed run know."""
        sampler = self._get_train_sampler()
        keys = list(islice(sampler, self.args.calibration_clips))
        starts = range(0, len(keys), _CALIBRATION_BATCH)
        batches = [default_convert(self.train_dataset.__getitems__(keys[s : s + _CALIBRATION_BATCH])) for s in starts]
        batches = [{name: value.to(self.args.device) for name, value in batch.items()} for batch in batches]
        self.build_batch.calibrate(batches, getattr(model, "standardize_statistics", None))

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Return the losses of a batch of `TrainingPairs`, from one forward of the wrapped model."""
        batch = vars(self.build_batch(inputs))
        if self.flops_per_example is None:
            self.flops_per_example = 3.0 * forward_flops(self.model, **{name: v[:1] for name, v in batch.items()})
        outputs = model(**batch)
        parts = {"loss_codes": outputs["loss_codes"], "accuracy": outputs["accuracy"]}
        if outputs.get("loss_statistics") is not None:
            parts["loss_statistics"] = outputs["loss_statistics"]
        self.record_parts(code_perplexity=_perplexity(batch["codes"], self.args.num_codes), **parts)
        return (outputs["loss"], MaskedPredictionOutput(**outputs)) if return_outputs else outputs["loss"]

    def averaged_encoder(self) -> BeatsModel:
        """Return a copy of the encoder with the averaged weights, for use on whole clips."""
        source: Any = self.average.module
        encoder = BeatsModel(BeatsConfig.from_dict(source.config.to_dict()))
        encoder.load_state_dict(source.state_dict())
        return encoder.eval()

    def run_probe(self) -> None:
        """Score the averaged encoder, log the scores and keep its weights where they are the best so far."""
        if self.probe is None or not self.args.should_save:
            return
        encoder = self.averaged_encoder()
        scores = dict(self.probe(encoder, self.processing_class))
        layer, score = best_layer(scores, self.args.probe_backend)
        best = max((line["probe_score"] for line in self._lines() if "probe_score" in line), default=float("-inf"))
        self.log({**scores, "probe_score": score, "probe_best_layer": layer})
        if score > best:
            self.write_encoder(BEST_NAME, encoder, layer, scores)

    def write_encoder(self, name: str, encoder: BeatsModel, layer: int | None, scores: Mapping[str, float]) -> None:
        """Write a folder of the run that AutoModel and AnomalyDetector load; one that is there gives way to it.

        Args:
            name: of the folder.
            encoder: what to write.
            layer: the one that a detector reads.
            scores: of the probe, for the record beside the weights.
        """
        folder = Path(self.args.output_dir) / name
        fresh = folder.with_name(f"{name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        encoder.config.embedding_layer = layer
        record = {
            "step": self.state.global_step,
            "scores": scores,
            "settings": self.args.method_settings(),
            "data": self.description,
            "model": {"num_parameters": encoder.num_parameters(), "embedding_layer": embedding_layer(encoder.config)},
        }
        with whole_folder(fresh) as temporary:
            encoder.save_pretrained(temporary)
            self.processing_class.save_pretrained(temporary)
            add_remote_code(temporary)
            (temporary / RECORD_NAME).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
            write_pretrained_card(temporary, record, str(folder))
        replace_folder(fresh, folder)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, state_dict)
        if self.args.should_save:
            save_file(self.average.state_dict(), Path(output_dir or self.args.output_dir) / AVERAGE_NAME)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        path = Path(resume_from_checkpoint) / AVERAGE_NAME
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist: resume from a checkpoint of a pre-training")
        self.average.load_state_dict(load_file(path))

    def _lines(self) -> list[dict[str, Any]]:
        """Read the log; its last line may be one that a killed run left half written, and does not count.

        Raises:
            ValueError: another line is damaged; the message names file and line.
        """
        path = Path(self.args.output_dir) / LOG_NAME
        lines: list[dict[str, Any]] = []
        written = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        for number, line in enumerate(written, 1):
            try:
                lines.append(json.loads(line))
            except ValueError as error:
                if number < len(written):
                    raise ValueError(f"line {number} of {path} is damaged ({error}): take it out") from error
        return lines

    def keep_lines(self, last_step: int) -> None:
        """Take the lines after a step out of the log: a resumed run writes them again."""
        lines = [line for line in self._lines() if line["step"] <= last_step] if last_step > 0 else []
        path = Path(self.args.output_dir) / LOG_NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    def write_line(self, step: int, entries: Mapping[str, Any]) -> None:
        """Add a line to the log."""
        with (Path(self.args.output_dir) / LOG_NAME).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **entries}) + "\n")


def _warmed_average(decay: float) -> Callable[[Sequence[Any], Sequence[Any], Any], None]:
    """Make an exponential average whose decay rises from 0.1: the first, random weights leave it soon."""

    def update(averaged: Sequence[Any], current: Sequence[Any], count: Any) -> None:
        steps = int(count)
        get_ema_multi_avg_fn(min(decay, (1 + steps) / (10 + steps)))(averaged, current, count)

    return update


def _perplexity(codes: torch.Tensor, num_codes: int) -> torch.Tensor:
    """Return how many codes a batch has in effective use: the exponential of the entropy of the first codebook's."""
    share = torch.bincount(codes[..., 0].flatten(), minlength=num_codes).float() / codes[..., 0].numel()
    return torch.special.entr(share).sum().exp()


class _PretrainingCallback(TrainerCallback):
    """Keep the average, the log and the probe in step with the training."""

    def __init__(self, trainer: PretrainingTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if args.should_save:
            self.trainer.keep_lines(state.global_step)
        if state.global_step == 0 and args.probe_steps > 0:
            self.trainer.run_probe()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trainer = self.trainer
        trainer.average.update_parameters(trainer.model.encoder)
        if args.probe_steps > 0 and (state.global_step % args.probe_steps == 0 or state.global_step == args.max_steps):
            should_log = control.should_log
            trainer.run_probe()
            control.should_log = should_log  # the probe's line took it for done

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        if args.should_save and logs:
            self.trainer.write_line(state.global_step, logs)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if args.should_save:
            trainer = self.trainer
            scores: dict[str, Any] = next((line for line in reversed(trainer._lines()) if "probe_score" in line), {})
            trainer.write_encoder(LAST_NAME, trainer.averaged_encoder(), scores.get("probe_best_layer"), scores)
