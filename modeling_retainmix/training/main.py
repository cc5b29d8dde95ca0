"""The main job: data, teacher, training, scores, checkpoint folder with its card; `accelerate launch` runs it.

accelerate launch train_accelerate.py                    # the demo recipe
accelerate launch -m modeling_retainmix.training.main    # the same from an installed package
"""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification, set_seed

from modeling_retainmix.conversion.encoders_by_name import loadable_name
from modeling_retainmix.data.training_pairs import TrainingPairs
from modeling_retainmix.detection.load_encoder import embedding_layer
from modeling_retainmix.evaluation.results import read_results, run_record, write_results
from modeling_retainmix.evaluation.score_encoders import NamedEncoder
from modeling_retainmix.evaluation.score_systems import table_rows
from modeling_retainmix.hub.card import write_model_card, write_teacher_card
from modeling_retainmix.hub.push import push_folder, repository_name
from modeling_retainmix.hub.remote_code import add_remote_code
from modeling_retainmix.hub.result_tables import markdown_table, protocol_sentence
from modeling_retainmix.pretrained import load_pretrained
from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.model_records import (
    data_of_parts,
    read_average,
    read_settings,
    read_training_data,
    settings_of_parts,
    write_training_data,
)
from modeling_retainmix.training.recipe import given_options, parse_arguments
from modeling_retainmix.training.resume import chosen_checkpoint, early_stopping, finished_weights, read_state
from modeling_retainmix.training.run_arguments import RunArguments
from modeling_retainmix.training.run_checks import check_encoders, check_options
from modeling_retainmix.training.run_data import RunData, load_run_data
from modeling_retainmix.training.run_stages import one_line_errors, timed
from modeling_retainmix.training.source_tagging import starting_encoder, train_teacher
from modeling_retainmix.training.tagging_head import set_tagging_classes
from modeling_retainmix.training.trainer import RetainMixTrainer


def main(argv: Sequence[str] | None = None) -> None:
    """Run one recipe from data to card.

    Args:
        argv: options; None: those of the command line.
    """
    durations: dict[str, float] = {}
    with one_line_errors(ValueError, FileNotFoundError, PermissionError, ConnectionError):
        run_args, args = parse_arguments(argv)
        run_args.model = starting_encoder(run_args)
        if not args.do_train and "embedding_layer" not in given_options(argv):
            args.embedding_layer = None  # a recipe's is that of the model which it trains
        check_options(run_args, args, sys.argv if argv is None else argv)
        checkpoint = chosen_checkpoint(args)
        check_encoders(run_args, args)
        push = _prepare_push(args)
    _prepare_device(run_args, args)
    with timed(durations, "data"):
        data, pairs, validation = _load_data(run_args, args)
    start = loadable_name(run_args.model) if run_args.model else f"{args.output_dir.rstrip('/')}-teacher"
    teacher = loadable_name(run_args.teacher) if run_args.teacher else start
    if run_args.model is None and not _has_teacher(start, checkpoint):
        with timed(durations, "teacher"):
            _train_teacher(run_args, args, data, start)
    if pairs is not None:
        with timed(durations, "training"):
            _train_student(args, pairs, validation, start, teacher, checkpoint)
            if args.should_save:
                write_training_data(args.output_dir, data.training)
    if args.do_eval and args.should_save:
        student = args.output_dir if args.do_train else start
        with timed(durations, "evaluation"):
            rows = _evaluate(args, data, student, teacher, run_args.also_score)
        results = _write_record(run_args, args, data, rows, student, durations, argv)
        if args.do_train or Path(args.output_dir).resolve() == Path(student).resolve():
            _write_cards(run_args, args, start)
        _print_results(results, args.output_dir)
    elif args.do_train and args.should_save:
        print(f"Written to {args.output_dir}, without a model card: that comes with the scores of --do_eval True")
    if push:
        _push(args)


def _prepare_push(args: RetainMixTrainingArguments) -> bool:
    """Return whether this process pushes the finished folder; a refused token ends the run before the training."""
    push = args.push_to_hub and args.process_index == 0
    if push:
        args.hub_model_id = repository_name(args.hub_model_id or Path(args.output_dir).name, args.hub_token)
    args.push_to_hub = False  # one commit of the finished folder, not one per save
    return push


def _prepare_device(run_args: RunArguments, args: RetainMixTrainingArguments) -> None:
    """Share the cores among the processes where the CPU computes; `accelerate launch` alone gives each of them one."""
    if args.device.type == "cpu":
        torch.set_num_threads(run_args.cpu_threads or max((os.cpu_count() or 1) // args.world_size, 1))
        args.dataloader_pin_memory = False  # torch warns without a device to copy to


def _load_data(
    run_args: RunArguments, args: RetainMixTrainingArguments
) -> tuple[RunData, TrainingPairs | None, TrainingPairs | None]:
    """Load the tables, and from them (where asked for) the pairs for training and for validation."""
    place = f"cannot write the data into --cache_dir {run_args.cache_dir}, make room or give another: "
    with one_line_errors(ValueError, OSError, place=place, folder=run_args.cache_dir):
        with args.main_process_first(desc="data"):
            data = load_run_data(run_args, args)
        if not args.do_train or data.train_machines is None or data.train_noise is None:
            return data, None, None
        pairs = TrainingPairs(
            data.train_machines, data.train_noise, args.clip_seconds, seed=args.seed, label_noise=args.tag_noise
        )
        if run_args.validation_share == 0:
            return data, pairs, None
        return data, *pairs.split(run_args.validation_share, args.seed)


def _has_teacher(folder: str, checkpoint: str | None) -> bool:
    """Return whether a resumed run finds the teacher that it began with."""
    return checkpoint is not None and Path(folder, "preprocessor_config.json").is_file()


def _train_teacher(run_args: RunArguments, args: RetainMixTrainingArguments, data: RunData, folder: str) -> None:
    assert data.train_machines is not None and data.train_noise is not None  # `load_run_data` knows that it trains
    with one_line_errors(OSError, FloatingPointError):
        train_teacher(run_args, args, data.train_machines, data.train_noise, folder)
        if args.should_save:
            add_remote_code(folder)
            write_training_data(folder, data.training)


def _train_student(
    args: RetainMixTrainingArguments,
    pairs: TrainingPairs,
    validation: TrainingPairs | None,
    start: str,
    teacher: str,
    checkpoint: str | None,
) -> None:
    """Train the student from the encoder in `start`; save it and its feature extractor in the output folder."""
    with one_line_errors(ValueError, OSError, FloatingPointError):
        state = read_state(checkpoint)
        finished = finished_weights(args, checkpoint, state)
        set_seed(args.seed)
        student = load_pretrained(
            AutoModelForAudioClassification,
            finished or start,
            problem_type="multi_label_classification",
            embedding_layer=args.embedding_layer,
        )
        set_tagging_classes(student, pairs.class_names)
        trainer = RetainMixTrainer(
            student,
            args,
            teacher=teacher,
            train_dataset=pairs,
            eval_dataset=validation,
            feature_extractor=AutoFeatureExtractor.from_pretrained(start),
        )
        if args.early_stopping_patience > 0:
            trainer.add_callback(early_stopping(args, state))
        if finished is None:
            trainer.train(resume_from_checkpoint=checkpoint)
        trainer.save_model()
        if args.should_save:
            add_remote_code(args.output_dir)


def _evaluate(
    args: RetainMixTrainingArguments, data: RunData, student: str, teacher: str, also_score: str | None
) -> list[dict[str, Any]]:
    model, another = _load_scored(args, student), None
    if also_score is not None:
        loadable = loadable_name(also_score)
        encoder, extractor = load_pretrained(AutoModel, loadable), AutoFeatureExtractor.from_pretrained(loadable)
        another = NamedEncoder(Path(also_score).name, encoder, extractor, (embedding_layer(encoder.config),))
        if another.fingerprint == NamedEncoder(student, model, None, another.layers).fingerprint:
            another = None  # its row would stand there twice
    return table_rows(
        data.evaluation,
        data.validation,
        data.protocol,
        teacher=load_pretrained(AutoModel, teacher),
        student=model,
        teacher_feature_extractor=AutoFeatureExtractor.from_pretrained(teacher),
        student_feature_extractor=AutoFeatureExtractor.from_pretrained(student),
        embedding_layer=embedding_layer(model.config),
        another=another,
        device=args.device,
        batch_size=args.per_device_eval_batch_size,
        show_progress=not args.disable_tqdm,
    )


def _load_scored(args: RetainMixTrainingArguments, student: str) -> Any:
    """Load the encoder that is scored; it is read at the layer of its configuration, unless the run names one."""
    named: dict[str, Any] = {} if args.embedding_layer is None else {"embedding_layer": args.embedding_layer}
    return load_pretrained(AutoModel, student, **named)


def _write_record(
    run_args: RunArguments,
    args: RetainMixTrainingArguments,
    data: RunData,
    rows: list[dict[str, Any]],
    student: str,
    durations: dict[str, float],
    argv: Sequence[str] | None,
) -> dict[str, Any]:
    settings = args.method_settings() if args.do_train else _settings_of_its_training(args, student)
    settings |= run_args.starting_settings() | {"benchmark_seed": run_args.benchmark_seed}
    parts = None if args.do_train else read_average(student)
    training = data.training or read_training_data(student) or {"training": "none in this run"}
    if parts is not None:
        training = data_of_parts(parts)
        settings, parts = settings_of_parts(settings, parts)
    results = run_record(
        data.evaluation,
        data.protocol,
        rows,
        model=_load_scored(args, student),
        name=args.hub_model_id or student.rstrip("/"),
        base_model=run_args.model if args.do_train else run_args.teacher or run_args.model,
        average_of=parts,
        data=training | data.description,
        settings=settings,
        durations=durations,
        command=launch_command(args, argv),
    )
    write_results(Path(args.output_dir) / "results.json", results)
    return results


def _settings_of_its_training(args: RetainMixTrainingArguments, student: str) -> dict[str, Any]:
    """Return how a model that is only scored was trained; where it has no record, what the options of this run say."""
    settings = args.method_settings()
    del settings["precision"]  # of the training, which is not this run's
    return read_settings(student) or settings


def launch_command(args: RetainMixTrainingArguments, argv: Sequence[str] | None) -> str:
    """Return the command that makes the same run again on one machine."""
    launcher = ["accelerate", "launch"]
    if args.world_size > 1:
        launcher += ["--multi_gpu", "--num_processes", str(args.world_size)]
    if args.mixed_precision != "no" and not (args.bf16 or args.fp16):  # told to the launcher
        launcher += ["--mixed_precision", args.mixed_precision]
    script = "train_accelerate.py"
    program = [script] if Path(sys.argv[0]).name == script else ["-m", "modeling_retainmix.training.main"]
    return shlex.join([*launcher, *program, *(sys.argv[1:] if argv is None else argv)])


def _write_cards(run_args: RunArguments, args: RetainMixTrainingArguments, start: str) -> None:
    written = read_results(Path(args.output_dir) / "results.json")
    write_model_card(args.output_dir, written)
    if run_args.model is None:
        write_teacher_card(start, written)


def _print_results(results: dict[str, Any], output_dir: str) -> None:
    stages = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in results["duration_seconds"].items())
    print(f"\n{markdown_table(results['rows'], results['protocol'])}\n")
    print(f"{protocol_sentence(results['protocol'])}\n{stages}; peak memory {results['peak_memory_gib']} GiB.")
    print(f"Written to {output_dir}")


def _push(args: RetainMixTrainingArguments) -> None:
    with one_line_errors(ValueError, OSError, place=f"the model is in {args.output_dir}, but "):
        name, private = str(args.hub_model_id), bool(args.hub_private_repo)
        print(push_folder(args.output_dir, name, private=private, token=args.hub_token))


if __name__ == "__main__":
    main()
