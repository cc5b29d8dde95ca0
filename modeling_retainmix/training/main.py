"""The main job: data, teacher, training, scores, checkpoint folder with its card; `accelerate launch` runs it.

accelerate launch train_accelerate.py                    # the demo recipe
accelerate launch -m modeling_retainmix.training.main    # the same from an installed package
"""

import os
import resource
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForAudioClassification,
    EarlyStoppingCallback,
    set_seed,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import TrainerState
from transformers.trainer_utils import get_last_checkpoint

from modeling_retainmix.data.benchmark import domains_of_tests
from modeling_retainmix.data.training_pairs import TrainingPairs
from modeling_retainmix.encoders import BeatsConfig
from modeling_retainmix.evaluation.results import environment_record, protocol_record, read_results, write_results
from modeling_retainmix.evaluation.score_systems import table_rows
from modeling_retainmix.hub.card import write_model_card, write_teacher_card
from modeling_retainmix.hub.push import push_folder, repository_name
from modeling_retainmix.hub.remote_code import add_remote_code
from modeling_retainmix.hub.result_tables import markdown_table, protocol_sentence
from modeling_retainmix.model_names import check_model_name
from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.recipe import parse_arguments
from modeling_retainmix.training.run_arguments import RunArguments
from modeling_retainmix.training.run_data import RunData, load_run_data
from modeling_retainmix.training.source_tagging import train_teacher, trained_teacher
from modeling_retainmix.training.tagging_head import set_tagging_classes
from modeling_retainmix.training.trainer import RetainMixTrainer, check_same_tokens


def main(argv: Sequence[str] | None = None) -> None:
    """Runs one recipe from data to card.

    Args:
        argv: options; None: those of the command line.
    """
    with _one_line(ValueError, FileNotFoundError, PermissionError, ConnectionError):
        run_args, args = parse_arguments(argv)
        if run_args.model is None and not run_args.train_teacher:
            run_args.model = trained_teacher(run_args.encoder_options)
        if run_args.model is None and run_args.teacher_steps < 1:
            raise ValueError(
                "--model is missing, and the recipe trains no encoder of its own: give the folder or the Hub name of "
                "a pretrained one, or add the size of the demo (--config RECIPE demo)"
            )
        if args.eval_strategy != "no" and run_args.validation_share == 0:
            raise ValueError(
                f"--eval_strategy {args.eval_strategy.value} needs clips: give --validation_share, say 0.1"
            )
        if run_args.model is None and (run_args.teacher_clip_seconds or 0) > args.clip_seconds:
            raise ValueError(
                f"--teacher_clip_seconds {run_args.teacher_clip_seconds:g} is longer than the training clips: give at "
                f"most --clip_seconds, {args.clip_seconds:g}"
            )
        if args.push_to_hub and not (args.do_train and args.do_eval):
            raise ValueError(
                "--push_to_hub uploads what the run trains, with its scores on the card: leave out --do_train False "
                "and --do_eval False"
            )
        if args.hub_token and any(args.hub_token in word for word in (sys.argv if argv is None else argv)):
            raise ValueError(
                "--hub_token on a command line is seen by every user of the machine, and printed where a run fails: "
                "set HF_TOKEN, or log in with `hf auth login`"
            )
        checkpoint = _checkpoint(args)
        for name in (run_args.model, run_args.teacher):
            if name is not None:
                check_model_name(name)
        _check_encoders(run_args, args)
        if args.push_to_hub and args.process_index == 0:  # a token that is refused is told before the training
            args.hub_model_id = repository_name(args.hub_model_id or Path(args.output_dir).name, args.hub_token)
    if args.device.type == "cpu":
        torch.set_num_threads(run_args.cpu_threads or max((os.cpu_count() or 1) // args.world_size, 1))
        args.dataloader_pin_memory = False  # torch warns where there is no device to copy to
    push_to_hub, args.push_to_hub = args.push_to_hub, False  # one commit of the finished folder, not one per save
    durations: dict[str, float] = {}
    cache = f"cannot write the data into --cache_dir {run_args.cache_dir}, make room or give another: "
    with _one_line(ValueError, OSError, place=cache, folder=run_args.cache_dir), _timed(durations, "data"):
        with args.main_process_first(desc="data"):
            data = load_run_data(run_args, args)
        pairs = TrainingPairs(
            data.train_machines, data.train_noise, args.clip_seconds, seed=args.seed, label_noise=args.tag_noise
        )
        validation = None
        if run_args.validation_share > 0:
            pairs, validation = pairs.split(run_args.validation_share, args.seed)
    start = run_args.model
    if start is None:
        start = f"{args.output_dir.rstrip('/')}-teacher"
        # A resumed run goes on from the teacher that it began with.
        if not (checkpoint and Path(start, "preprocessor_config.json").is_file()):
            with _one_line(OSError, FloatingPointError), _timed(durations, "teacher"):
                train_teacher(run_args, args, data.train_machines, data.train_noise, start)
                if args.should_save:
                    add_remote_code(start)
    if args.do_train:
        with _one_line(OSError, FloatingPointError), _timed(durations, "training"):
            _train_student(args, pairs, validation, start, run_args.teacher or start, checkpoint)
    if args.do_eval and args.should_save:
        student = args.output_dir if args.do_train else start
        with _timed(durations, "evaluation"):
            rows = _evaluate(args, data, student, run_args.teacher or start)
        results = _results(run_args, args, data, rows, student, durations)
        path = Path(args.output_dir) / "results.json"
        write_results(path, results)
        if args.do_train:
            written = read_results(path)
            write_model_card(args.output_dir, written)
            if run_args.model is None:
                write_teacher_card(start, written)
        _print_results(results, args.output_dir)
    if push_to_hub and args.process_index == 0:
        with _one_line(ValueError, OSError, place=f"the model is in {args.output_dir}, but "):
            name, private = args.hub_model_id, bool(args.hub_private_repo)
            print(push_folder(args.output_dir, name, private=private, token=args.hub_token))


def _train_student(
    args: RetainMixTrainingArguments,
    pairs: TrainingPairs,
    validation: TrainingPairs | None,
    start: str,
    teacher: str,
    checkpoint: str | None,
) -> None:
    """Trains the student from the encoder in `start`; saves it and its feature extractor in the output folder."""
    state = TrainerState.load_from_json(str(Path(checkpoint, TRAINER_STATE_NAME))) if checkpoint else TrainerState()
    finished = _finished(args, checkpoint, state)
    set_seed(args.seed)
    student = AutoModelForAudioClassification.from_pretrained(
        finished or start, problem_type="multi_label_classification", embedding_layer=args.embedding_layer
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
        stopping = EarlyStoppingCallback(args.early_stopping_patience)
        stopping.early_stopping_patience_counter = _waited(state)  # a resumed run counts on
        trainer.add_callback(stopping)
    if finished is None:
        trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model()
    if args.should_save:
        add_remote_code(args.output_dir)


def _finished(args: RetainMixTrainingArguments, checkpoint: str | None, state: TrainerState) -> str | None:
    """Folder of the weights of a training that came to its end, which the Trainer would take further.

    The end is the last step, or an evaluation at which the patience ran out.
    """
    if not (0 < args.max_steps <= state.global_step or 0 < args.early_stopping_patience <= _waited(state)):
        return None
    return (state.best_model_checkpoint if args.load_best_model_at_end else None) or checkpoint


def _waited(state: TrainerState) -> int:
    """How many evaluations in a row were not better than the best one, as early stopping counts them."""
    callbacks: Any = state.stateful_callbacks
    stopping = callbacks.get(EarlyStoppingCallback.__name__)
    return stopping["attributes"]["early_stopping_patience_counter"] if stopping else 0


def _check_encoders(run_args: RunArguments, args: RetainMixTrainingArguments) -> None:
    """What does not fit student and teacher is told before data are made and models trained."""
    if run_args.model is None:
        student = BeatsConfig(**run_args.encoder_options)
    else:
        student = AutoConfig.from_pretrained(run_args.model)
    teacher = student if run_args.teacher is None else AutoConfig.from_pretrained(run_args.teacher)
    if args.beta > 0:
        check_same_tokens(student, teacher)
    depths = {"embedding_layer": student.num_hidden_layers}
    depths["mixture_layer"] = min(student.num_hidden_layers, teacher.num_hidden_layers)
    for name, depth in depths.items():
        layer = getattr(args, name)
        if layer is not None and not 1 <= layer <= depth:
            raise ValueError(f"--{name} {layer}: the encoder has layers 1 to {depth}")


def _checkpoint(args: RetainMixTrainingArguments) -> str | None:
    """The checkpoint to resume from; `--resume_from_checkpoint True` means the newest one of the output folder."""
    name = args.resume_from_checkpoint
    if name is None or name.lower() == "false":
        return None
    if name.lower() == "true":
        newest = get_last_checkpoint(args.output_dir) if Path(args.output_dir).is_dir() else None
        if newest is None:
            raise FileNotFoundError(f"{args.output_dir} holds no checkpoint to resume from: start without that option")
        return newest
    if not Path(name, "trainer_state.json").is_file():
        raise FileNotFoundError(f"--resume_from_checkpoint {name}: no checkpoint lies there")
    return name


def _evaluate(args: RetainMixTrainingArguments, data: RunData, student: str, teacher: str) -> list[dict[str, Any]]:
    model = AutoModel.from_pretrained(student)
    layer = model.config.embedding_layer or model.config.num_hidden_layers
    return table_rows(
        data.evaluation,
        data.validation,
        data.protocol,
        teacher=AutoModel.from_pretrained(teacher),
        student=model,
        feature_extractor=AutoFeatureExtractor.from_pretrained(student),
        embedding_layer=layer,
        device=args.device,
        batch_size=args.per_device_eval_batch_size,
        show_progress=not args.disable_tqdm,
    )


def _results(
    run_args: RunArguments,
    args: RetainMixTrainingArguments,
    data: RunData,
    rows: list[dict[str, Any]],
    student: str,
    durations: dict[str, float],
) -> dict[str, Any]:
    """The record of the run, as results.json holds it."""
    model = AutoModel.from_pretrained(student)
    return {
        **environment_record(),
        "command": shlex.join(["accelerate", "launch", *sys.argv]),
        "protocol": protocol_record(
            data.protocol,
            {machine.machine_type: machine.counts() for machine in data.evaluation},
            sum(machine.reused_segments for machine in data.evaluation),
            domains=domains_of_tests(data.evaluation),
            rules=data.evaluation[0].rules,
        ),
        "data": data.description,
        "settings": args.method_settings()
        | run_args.starting_settings()
        | {"benchmark_seed": run_args.benchmark_seed},
        "model": {
            "name": args.hub_model_id or Path(student).name,
            "num_parameters": model.num_parameters(),
            "embedding_layer": model.config.embedding_layer or model.config.num_hidden_layers,
            "base_model": run_args.model,
        },
        "duration_seconds": {stage: round(seconds, 1) for stage, seconds in durations.items()},
        # ru_maxrss is in KiB on Linux and in bytes on macOS
        "peak_memory_gib": round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** (30 if sys.platform == "darwin" else 20), 2
        ),
        "rows": rows,
    }


def _print_results(results: dict[str, Any], output_dir: str) -> None:
    stages = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in results["duration_seconds"].items())
    print(f"\n{markdown_table(results['rows'], results['protocol'])}\n")
    print(f"{protocol_sentence(results['protocol'])}\n{stages}; peak memory {results['peak_memory_gib']} GiB.")
    print(f"Written to {output_dir}")


@contextmanager
def _one_line(*kinds: type[Exception], place: str = "", folder: str | None = None) -> Iterator[None]:
    """Bad input, a full disk and a loss that is not finite end the run with one line, not with a traceback.

    The line begins with `place`, unless the error is about input, or names a file outside `folder`.
    """
    try:
        yield
    except kinds as error:
        file = getattr(error, "filename", None)
        elsewhere = None not in (file, folder) and not Path(str(file)).is_relative_to(str(folder))
        named = isinstance(error, (ValueError, FileNotFoundError)) or elsewhere
        sys.exit(f"error: {error}" if named else f"error: {place}{error}")


@contextmanager
def _timed(durations: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    durations[stage] = time.perf_counter() - start


if __name__ == "__main__":
    main()
