"""The rules of a run's options: what does not fit together is refused before data are made and models trained."""

from collections.abc import Sequence

from transformers import AutoConfig, AutoFeatureExtractor, AutoModel

from modeling_retainmix.conversion.encoders_by_name import loadable_name
from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor
from modeling_retainmix.pretrained import check_encoder_config, load_pretrained
from modeling_retainmix.training.arguments import RetainMixTrainingArguments
from modeling_retainmix.training.frozen_teacher import check_same_features, check_same_tokens
from modeling_retainmix.training.model_records import read_average, read_settings, read_training_data
from modeling_retainmix.training.run_arguments import RunArguments


def check_options(run_args: RunArguments, args: RetainMixTrainingArguments, words: Sequence[str]) -> None:
    """Check the options that concern more than one stage of the run.

    Args:
        run_args: of the run; `model` is what the run starts from, None where it trains that encoder first.
        args: of the training.
        words: of the command line, which must not hold an access token.

    Raises:
        ValueError: options that do not fit together; the message names them and the cure.
    """
    if run_args.model is None and run_args.teacher_steps < 1:
        raise ValueError(
            "--model is missing, and the recipe trains no encoder to start from: give the folder or the Hub name of "
            "a pretrained one, or add the size of the demo (--config RECIPE demo)"
        )
    if args.eval_strategy != "no" and run_args.validation_share == 0:
        raise ValueError(f"--eval_strategy {args.eval_strategy.value} needs clips: give --validation_share, say 0.1")
    if run_args.model is None and (run_args.teacher_clip_seconds or 0) > args.clip_seconds:
        raise ValueError(
            f"--teacher_clip_seconds {run_args.teacher_clip_seconds:g} is longer than the training clips: give at "
            f"most --clip_seconds, {args.clip_seconds:g}"
        )
    for name in ("faulty_share", "foreign_share"):
        if name in run_args.factory_options:
            raise ValueError(f"--factory_config holds {name}: give --{name}, which the model card lists")
    if run_args.train_data and (args.faulty_share or args.foreign_share):
        raise ValueError(
            "--faulty_share and --foreign_share are of the procedural training sounds, and --train_data takes their "
            "place: leave one of the two out"
        )
    if args.push_to_hub and not (args.do_train and args.do_eval):
        raise ValueError(
            "--push_to_hub uploads what the run trains, with its scores on the card: leave out --do_train False "
            "and --do_eval False"
        )
    if args.hub_token and any(args.hub_token in word for word in words):
        raise ValueError(
            "--hub_token on a command line is seen by every user of the machine, and printed where a run fails: "
            "set HF_TOKEN, or log in with `hf auth login`"
        )


def check_encoders(run_args: RunArguments, args: RetainMixTrainingArguments) -> None:
    """Check that the named encoders exist, fit each other, have the layers that are asked for, and load whole.

    Raises:
        FileNotFoundError: no model has that name.
        ValueError: student and teacher do not fit, a layer is missing, or weights are incomplete or damaged, as is
            what lies beside those of a model that is only scored.
    """
    named = (run_args.model, run_args.teacher, run_args.also_score)
    names = {name: loadable_name(name) for name in named if name is not None}
    configs = {name: AutoConfig.from_pretrained(loadable) for name, loadable in names.items()}
    for name, config in configs.items():
        check_encoder_config(config, name)
    student = BeatsConfig(**run_args.encoder_options) if run_args.model is None else configs[run_args.model]
    teacher = student if run_args.teacher is None else configs[run_args.teacher]
    if args.beta > 0:
        check_same_tokens(student, teacher)
        if args.do_train and run_args.teacher is not None:
            start = run_args.model  # None: the run trains that encoder, with this feature extractor
            ours = BeatsFeatureExtractor() if start is None else AutoFeatureExtractor.from_pretrained(names[start])
            check_same_features(ours, AutoFeatureExtractor.from_pretrained(names[run_args.teacher]))
    depths = {"embedding_layer": student.num_hidden_layers}
    depths["mixture_layer"] = min(student.num_hidden_layers, teacher.num_hidden_layers)
    for option, depth in depths.items():
        layer = getattr(args, option)
        if layer is not None and not 1 <= layer <= depth:
            raise ValueError(f"--{option} {layer}: the encoder has layers 1 to {depth}")
    for layer in args.teacher_layers or []:
        if layer > teacher.num_hidden_layers:
            raise ValueError(f"--teacher_layers {layer}: the teacher has layers 1 to {teacher.num_hidden_layers}")
    if run_args.model is not None and not args.do_train:  # the record of the scores needs them, at the end
        for read in (read_average, read_training_data, read_settings):
            read(names[run_args.model])
    for loadable in names.values():  # last, since it takes longest
        load_pretrained(AutoModel, loadable)
