"""Self-supervised pre-training of a small BEATs, from sounds to a folder of averaged weights.

Masked patch prediction (Chen et al., "BEATs", ICML 2023): the first iteration predicts codes of a random projection of
the patches, the second (`tokenizer_model`) codes of the tokens of a trained encoder.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, concatenate_datasets
from transformers import AutoFeatureExtractor, AutoModel, HfArgumentParser, set_seed

from modeling_retainmix.conversion.encoders_by_name import loadable_name
from modeling_retainmix.data.benchmark import MachineBenchmark
from modeling_retainmix.data.benchmark_sources import load_benchmark
from modeling_retainmix.data.factory import FactoryConfig, build_factory, factory_fingerprint
from modeling_retainmix.data.layouts.metadata_csv import has_metadata
from modeling_retainmix.data.layouts.noise import read_training_noise
from modeling_retainmix.data.noise_segments import make_noise_segments
from modeling_retainmix.data.recordings import MACHINE_COLUMNS, read_training_machines
from modeling_retainmix.data.training_clips import prepare_training_clips
from modeling_retainmix.data.training_pairs import TrainingPairs
from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsModel
from modeling_retainmix.pretrained import load_pretrained
from modeling_retainmix.training.masked_prediction import MaskedPatchPrediction
from modeling_retainmix.training.pretraining_arguments import PretrainingArguments, PretrainingData
from modeling_retainmix.training.pretraining_probe import LayerProbe, probe_protocol
from modeling_retainmix.training.pretraining_targets import RandomProjectionTokenizer, TeacherTokens
from modeling_retainmix.training.pretraining_trainer import PretrainingTrainer
from modeling_retainmix.training.resume import chosen_checkpoint, read_state
from modeling_retainmix.training.run_stages import one_line_errors


def main(argv: Sequence[str] | None = None) -> None:
    """Run a pre-training; `--resume_from_checkpoint True` continues from the newest checkpoint, or starts.

    Args:
        argv: options; None: those of the command line.

    Raises:
        ValueError, FileNotFoundError: an option, a folder or a model that cannot be used.
        FloatingPointError: the loss is not finite.
    """
    run_pretraining(*parse_pretraining(argv))


def parse_pretraining(argv: Sequence[str] | None = None) -> tuple[PretrainingData, PretrainingArguments]:
    """Parse the options of a pre-training.

    Raises:
        ValueError: options contradict each other.
        SystemExit: an option does not exist, or a value is not valid, as argparse reports it.
    """
    parser = HfArgumentParser([PretrainingData, PretrainingArguments], description=__doc__)
    data, args = parser.parse_args_into_dataclasses(argv, look_for_args_file=False)
    return data, args


def run_pretraining(data: PretrainingData, args: PretrainingArguments) -> PretrainingTrainer | None:
    """Train from sounds to `best/` and `last/` in the output folder; None where the run had come to its end.

    Raises:
        ValueError, FileNotFoundError, FloatingPointError: as in `main`.
    """
    checkpoint = chosen_checkpoint(args)
    if read_state(checkpoint).global_step >= args.max_steps:  # the Trainer would take the run further
        print(f"{checkpoint} is of the last step: raise --max_steps to go on")
        return None
    if args.tokenizer_model is not None:
        loadable_name(args.tokenizer_model)  # a mistyped name ends the run before the data are made
    if args.device.type == "cpu":
        torch.set_num_threads(data.cpu_threads or max((os.cpu_count() or 1) // args.world_size, 1))
        args.dataloader_pin_memory = False  # torch warns without a device to copy to
    with args.main_process_first(desc="data"):
        pairs = load_sounds(data, args)
        benchmark = load_probe(data, args) if args.probe_steps > 0 else []
    probe = None
    if benchmark:
        protocol = probe_protocol(data.protocol, args.clip_seconds, data.probe_snr_db)
        probe = LayerProbe(benchmark, protocol, args.per_device_eval_batch_size, args.device)
    trainer = make_trainer(pairs, args, probe, describe_sounds(pairs, data, args))
    trainer.train(resume_from_checkpoint=checkpoint)
    return trainer


def make_trainer(
    pairs: TrainingPairs, args: PretrainingArguments, probe: Any = None, description: dict[str, Any] | None = None
) -> PretrainingTrainer:
    """Make encoder, predictor, tokenizer and trainer, with the same first weights for the same seed.

    Args:
        pairs: sounds and noise.
        args: training arguments.
        probe, description: as in `PretrainingTrainer`.
    """
    set_seed(args.seed)
    config = BeatsConfig(**args.encoder_options)
    teacher = _teacher(args)
    tokenizer = RandomProjectionTokenizer(
        config.num_mel_patches,
        config.patch_size**2 if teacher is None else teacher.size,
        args.num_codes,
        args.code_size,
        args.num_codebooks,
        args.seed,
    )
    model = MaskedPatchPrediction(
        BeatsModel(config),
        tokenizer,
        args.predictor_layers,
        args.predictor_size,
        args.statistics_weight,
        args.statistics_pool,
    )
    extractor = BeatsFeatureExtractor(padding_rule=config.padding_rule, clip_level=args.use_level)
    return PretrainingTrainer(model, args, pairs, extractor, teacher, probe, description)


def load_sounds(data: PretrainingData, args: PretrainingArguments) -> TrainingPairs:
    """Load training pairs: the procedural factory's training machines and noise, or recordings of the user.

    Raises:
        ValueError, FileNotFoundError: a folder is missing, empty or unusable.
    """
    if data.train_data is None:
        factory = build_factory(data.cache_dir, _factory_config(data, args), _workers(data), splits=["train"])
        machines, noise = factory["train_machines"], factory["train_noise"]
    else:
        machines = concatenate_datasets([_prepare(name, data, args) for name in data.train_data])
        noise = machines
        if data.train_noise:
            noise = concatenate_datasets([_prepare(name, data, args) for name in data.train_noise])
        classes = [f"{t}/{a}" for t, a in zip(noise["machine_type"], noise["attributes"], strict=True)]
        noise = noise.select_columns(["audio"]).add_column("noise_class", classes)
        for column in ("kind", "factory"):
            noise = noise.add_column(column, [""] * len(noise))
        noise = make_noise_segments(noise, args.clip_seconds, seed=args.seed)
    return TrainingPairs(machines, noise, args.clip_seconds, seed=args.seed)


def describe_sounds(pairs: TrainingPairs, data: PretrainingData, args: PretrainingArguments) -> dict[str, Any]:
    """Return statistics of the training sounds for the record: where they are from, and how many."""
    description: dict[str, Any] = {"training": "procedural factory"}
    if data.train_data is None:
        config = _factory_config(data, args)
        description |= {"factory_version": str(config.version), "factory_hash": factory_fingerprint(config)}
    else:
        noise = data.train_noise or ["the same"]
        names = (", ".join(Path(name).name for name in listed) for listed in (data.train_data, noise))
        description["training"] = " with noise of ".join(names)
    return description | {
        "training_machine_clips": len(pairs.machines),
        "training_machine_types": len(set(pairs.machines["machine_type"])),
        "training_noise_clips": len(pairs.noise),
        "training_noise_classes": len(set(pairs.noise["noise_class"])),
    }


def load_probe(data: PretrainingData, args: PretrainingArguments) -> list[MachineBenchmark]:
    """Load the machines that the probe scores: some validation machines of the factory, or recordings of the user's.

    Raises:
        ValueError, FileNotFoundError: as in `load_benchmark`.
    """
    protocol = probe_protocol(data.protocol, args.clip_seconds, data.probe_snr_db)
    if data.eval_data is not None:
        return load_benchmark(protocol, data)
    benchmark = load_benchmark(protocol, data, split="validation")
    if data.probe_machines == 0:
        return benchmark
    step = max(len(benchmark) // data.probe_machines, 1)  # spread over the alphabet, not its first letters
    return benchmark[::step][: data.probe_machines]


def _prepare(name: str, data: PretrainingData, args: PretrainingArguments) -> Dataset:
    """Read the sounds of a folder or data set with their classes; a folder in no known layout is read file by file."""
    try:
        table = read_training_machines(name)
    except ValueError as error:
        if not Path(name).is_dir() or has_metadata(Path(name)):
            raise
        if args.should_save:
            print(f"{name}: every sound file is read ({error})")
        table = read_training_noise(name)
        table = table.rename_column("noise_class", "machine_type").add_column("attributes", [""] * len(table))
    table, report = prepare_training_clips(table, Path(data.cache_dir) / "prepared", data.channel)
    if args.should_save:
        print(f"{name}: {report}")
    return table.select_columns(["audio", *MACHINE_COLUMNS])


def _factory_config(data: PretrainingData, args: PretrainingArguments) -> FactoryConfig:
    return FactoryConfig(**{"clip_seconds": args.clip_seconds, "seed": data.benchmark_seed} | data.factory_options)


def _workers(data: PretrainingData) -> int | None:
    return data.data_workers or os.cpu_count()


def _teacher(args: PretrainingArguments) -> TeacherTokens | None:
    """Load the encoder of the second iteration, at the level that its feature extractor names."""
    if args.tokenizer_model is None:
        return None
    depth: dict[str, Any] = {} if args.tokenizer_layer is None else {"num_hidden_layers": max(args.tokenizer_layer, 1)}
    name = loadable_name(args.tokenizer_model)
    teacher = load_pretrained(AutoModel, name, **depth)
    level = AutoFeatureExtractor.from_pretrained(name).clip_level
    return TeacherTokens(teacher, args.tokenizer_layer, level, args.device)


if __name__ == "__main__":
    with one_line_errors(ValueError, OSError, FloatingPointError):
        main()
