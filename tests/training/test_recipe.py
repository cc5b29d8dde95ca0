"""Recipes and the command line over them."""

import re
from dataclasses import fields

import pytest

from modeling_retainmix.training.arguments import MethodArguments
from modeling_retainmix.training.recipe import given_options, load_recipe, parse_arguments, recipe_names
from modeling_retainmix.training.run_arguments import RunArguments


def test_when_nothing_is_given_then_the_demo_recipe_is_read():
    run_args, args = parse_arguments([])
    recipe = load_recipe("demo")
    assert run_args.encoder_config == recipe["encoder_config"]
    assert (args.max_steps, args.clip_seconds) == (recipe["max_steps"], recipe["clip_seconds"])
    assert args.learning_rate == float(recipe["learning_rate"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {}),
        (["--factory_config", '{"version": 3}'], {"version": 3}),
        (["--config", "denoising"], {}),
        (["--config", "denoising", "--factory_config", '{"version": 3}'], {"version": 3}),
    ],
)
def test_recipes_take_the_factory_of_today_and_an_option_chooses_another(options, expected):
    run_args, _ = parse_arguments(options)
    assert run_args.factory_options == expected


def test_when_option_is_given_then_it_overrides_the_recipe(tmp_path):
    _, args = parse_arguments(["--max_steps", "7", "--snr_db", "-5", "5", "--output_dir", str(tmp_path)])
    assert (args.max_steps, args.snr_db, args.output_dir) == (7, [-5.0, 5.0], str(tmp_path))


def test_when_yaml_file_is_given_then_it_is_the_recipe(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("output_dir: somewhere\nbeta: 0\nsnr_db: [-10, 10]\n")
    _, args = parse_arguments(["--config", str(path)])
    assert (args.beta, args.snr_db, args.output_dir) == (0, [-10, 10], "somewhere")


def test_when_recipe_is_unknown_then_error_lists_the_known_ones():
    with pytest.raises(FileNotFoundError, match=r"nowhere.*demo"):
        parse_arguments(["--config", "nowhere"])


def test_when_recipe_has_an_unknown_option_then_error_names_it(tmp_path):
    path = tmp_path / "typo.yaml"
    path.write_text("learning_rat: 1.0\n")
    with pytest.raises(ValueError, match=r"typo.yaml.*learning_rat"):
        parse_arguments(["--config", str(path)])


def test_when_file_is_not_a_mapping_then_error_says_so(tmp_path):
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n")
    with pytest.raises(ValueError, match="mapping"):
        load_recipe(str(path))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("beta: !!python/object/apply:os.system ['true']\n", "is not valid YAML of plain values .*python/object"),
        ("output_dir: !mine out\n", "is not valid YAML of plain values .*!mine"),
        ("snr_db: [-5\n", r"is not valid YAML of plain values .*line 1, column 9"),
        ("\tbeta: 1\n", "is not valid YAML of plain values"),
        ("beta: 1\0\n", "is not valid YAML of plain values"),
        ("output_dir: stra\xdfe".encode("latin-1"), "is not a text in UTF-8"),
        ("output_dir: out\n".encode("utf-16"), "is not a text in UTF-8"),
        ("snr_db: " + "[" * 20_000, "is nested too deep"),
    ],
)
def test_when_file_cannot_be_read_then_one_line_names_it(tmp_path, content, named):
    path = tmp_path / "broken.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=rf"^--config {path} {named}") as raised:
        load_recipe(str(path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("max_steps: [1]", r"\[1\] is not a valid value of max_steps"),
        ("max_steps: {a: 1}", "is not a valid value of max_steps"),
        ("max_steps: 1.5", "1.5 is not a valid value of max_steps"),
        ("max_steps: many", "'many' is not a valid value of max_steps"),
        ("max_steps:", "None is not a valid value of max_steps"),
        ("learning_rate: true", "True is not a valid value of learning_rate"),
        ("snr_db: [a]", "is not a valid value of snr_db"),
        ("snr_db: [[0]]", "is not a valid value of snr_db"),
        ("level: loud", "'loud' is not a valid value of level"),
        ("do_train: 3", "3 is not a valid value of do_train"),
        ("1: 2\nb: 3", r"unknown options \['1', 'b'\]"),
        ("config: demo", r"unknown options \['config'\]"),
    ],
)
def test_when_a_value_does_not_fit_its_option_then_file_and_option_are_named(tmp_path, line, named):
    path = tmp_path / "wrong.yaml"
    path.write_text(f"output_dir: out\n{line}\n")
    with pytest.raises(ValueError, match=rf"^--config {path}: .*{named}"):
        parse_arguments(["--config", str(path)])


def test_when_a_value_is_written_shortly_then_it_is_read_as_on_the_command_line(tmp_path):
    path = tmp_path / "short.yaml"
    lines = ["output_dir: 7", "snr_db: 5", "learning_rate: 1e-3", "resume_from_checkpoint: true", "seed: '3'"]
    path.write_text("\n".join(lines), encoding="utf-8-sig")
    _, args = parse_arguments(["--config", str(path)])
    assert (args.output_dir, args.snr_db, args.learning_rate, args.seed) == ("7", [5], 1e-3, 3)
    assert args.resume_from_checkpoint == "True"


def test_when_help_is_asked_for_then_the_options_of_this_package_come_first(capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    text = capsys.readouterr().out

    def place(name):
        return re.search(rf"^  --{name}(?![\w-])", text, re.MULTILINE).start()

    places = [place(name) for name in ("config", "eval_data", "model", "alpha", "output_dir", "fp16")]
    assert places == sorted(places)
    ours = [*fields(RunArguments), *fields(MethodArguments)]
    assert max(place(field.name) for field in ours) < place("output_dir")


def test_when_options_stand_on_the_command_line_then_they_are_told_from_those_of_recipes():
    assert given_options([]) == set()
    assert given_options(["--config", "denoising", "--snr_db", "1", "2", "--seed=3"]) == {"snr_db", "seed"}


def test_when_two_recipes_are_given_then_the_later_one_counts():
    run_args, args = parse_arguments(["--config", "denoising", "demo", "--max_steps", "9"])
    assert (args.beta, args.tag_noise, args.snr_db) == (0.0, False, [-5, 5])
    demo = load_recipe("demo")
    assert (args.clip_seconds, args.embedding_layer) == (demo["clip_seconds"], demo["embedding_layer"])
    assert (run_args.protocol, args.max_steps) == ("small", 9)


# What the paper's text and tables say of each experiment: (alpha, beta, SNRs, noise labelled, mixup).
METHODS = {
    "denoising": (1, 0, [-5, 5], False, "none"),
    "denoising_linear_mixup": (1, 0, [-5, 5], False, "linear"),
    "denoising_snr_mixup": (1, 0, [-5, 5], False, "snr"),
    "tagging_0db": (1, 0, [0], True, "none"),
    "tagging_pm5db": (1, 0, [-5, 5], True, "none"),
    "mixture_0db": (0, 1, [0], True, "none"),
    "mixture_pm5db": (0, 1, [-5, 5], True, "none"),
    "both_0db": (1, 1, [0], True, "none"),
    "both_pm5db": (1, 1, [-5, 5], True, "none"),
    "tagging_plus10db": (1, 0, [10], True, "none"),
    "tagging_plus5db": (1, 0, [5], True, "none"),
    "tagging_minus5db": (1, 0, [-5], True, "none"),
    "tagging_minus10db": (1, 0, [-10], True, "none"),
    "tagging_pm10db": (1, 0, [-10, 10], True, "none"),
    "mixture_audioset_20k": (0, 1, [-5, 5], True, "none"),
    "mixture_with_references": (0, 1, [-5, 5], True, "none"),
}


# What each recipe changes beyond the paper, beside the SNRs.
BEYOND = {
    "both_0db_two_heads": ([0], {"separate_heads": True}),
    "both_0db_teacher_layers": ([0], {"teacher_layers": [1, 2, 3, 4]}),
    "both_0db_pooled": ([0], {"pooled_weight": 1.0}),
    "both_pm5db_snr_lambda": ([-5, 5], {"lam_from_snr": True}),
    "both_pm10db": ([-10, 10], {"snr_db": [-10, 10]}),
    "both_0db_mixed_pool": ([0], {"faulty_share": 0.2, "foreign_share": 0.2}),
}


def test_every_recipe_of_the_package_is_an_experiment_of_the_paper_or_beyond_it_or_the_demo():
    assert set(recipe_names()) == {"demo", "openbeats_both_0db", *METHODS, *BEYOND}


def test_when_the_recipe_of_real_weights_is_read_then_its_method_is_both_losses_and_others_go_behind_it():
    run_args, args = parse_arguments(["--config", "openbeats_both_0db"])
    _, both = parse_arguments(["--config", "both_0db"])
    assert run_args.model == "shikhar7ssu/OpenBEATs-Base-i3" and run_args.train_license == "cc-by-nc-sa-4.0"
    for name in METHODS:
        joined, alone = (parse_arguments(["--config", *first, name])[1] for first in (["openbeats_both_0db"], []))
        assert all(getattr(joined, field.name) == getattr(alone, field.name) for field in fields(MethodArguments))
    assert all(getattr(args, field.name) == getattr(both, field.name) for field in fields(MethodArguments))
    assert (args.max_steps, args.per_device_train_batch_size * args.gradient_accumulation_steps) == (20_000, 128)


@pytest.mark.parametrize("name", BEYOND)
def test_when_a_recipe_goes_beyond_the_paper_then_it_differs_from_both_losses_in_one_thing(name):
    snr_db, changes = BEYOND[name]
    _, args = parse_arguments(["--config", name])
    _, plain = parse_arguments(["--config", "both_0db" if snr_db == [0] else "both_pm5db"])
    differing = {
        field.name: getattr(args, field.name)
        for field in fields(MethodArguments)
        if getattr(args, field.name) != getattr(plain, field.name)
    }
    assert (args.snr_db, differing) == (snr_db, changes)


@pytest.mark.parametrize("name", METHODS)
def test_when_recipe_of_an_experiment_is_read_then_method_and_optimisation_are_the_papers(name):
    run_args, args = parse_arguments(["--config", name])
    assert (args.alpha, args.beta, args.snr_db, args.tag_noise, args.mixup) == METHODS[name]
    assert (args.lam, args.embedding_layer, args.clip_seconds, args.max_steps) == (0.5, 6, 10.0, 20_000)
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps == 128
    assert run_args.protocol == "full"
    assert run_args.train_on_references == (name == "mixture_with_references")
