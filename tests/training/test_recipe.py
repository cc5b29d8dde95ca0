"""Recipes and the command line over them."""

import pytest

from modeling_retainmix.training.recipe import load_recipe, parse_arguments, recipe_names


def test_when_nothing_is_given_then_the_demo_recipe_is_read():
    run_args, args = parse_arguments([])
    recipe = load_recipe("demo")
    assert run_args.encoder_config == recipe["encoder_config"]
    assert (args.max_steps, args.clip_seconds) == (recipe["max_steps"], recipe["clip_seconds"])
    assert args.learning_rate == float(recipe["learning_rate"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {"version": 3}),
        (["--factory_config", '{"version": 4}'], {"version": 4}),
        (["--config", "denoising"], {}),
        (["--config", "denoising", "--factory_config", '{"version": 3}'], {"version": 3}),
    ],
)
def test_the_demo_names_the_factory_of_its_published_numbers_and_an_option_chooses_another(options, expected):
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


def test_when_recipe_is_unknown_then_error_lists_those_there_are():
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


def test_every_recipe_of_the_package_is_an_experiment_of_the_paper_or_the_demo():
    assert set(recipe_names()) == {"demo", *METHODS}


@pytest.mark.parametrize("name", METHODS)
def test_when_recipe_of_an_experiment_is_read_then_method_and_optimisation_are_the_papers(name):
    run_args, args = parse_arguments(["--config", name])
    assert (args.alpha, args.beta, args.snr_db, args.tag_noise, args.mixup) == METHODS[name]
    assert (args.lam, args.embedding_layer, args.clip_seconds, args.max_steps) == (0.5, 6, 10.0, 20_000)
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps == 128
    assert run_args.protocol == "full"
    assert run_args.train_on_references == (name == "mixture_with_references")
