"""Recipes and the command line over them."""

import pytest

from modeling_retainmix.training.recipe import load_recipe, parse_arguments, recipe_names


def test_when_nothing_is_given_then_the_demo_recipe_is_read():
    run_args, args = parse_arguments([])
    recipe = load_recipe("demo")
    assert run_args.encoder_config == recipe["encoder_config"]
    assert (args.max_steps, args.clip_seconds) == (recipe["max_steps"], recipe["clip_seconds"])
    assert args.learning_rate == float(recipe["learning_rate"])


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


def test_every_recipe_of_the_package_parses():
    for name in recipe_names():
        parse_arguments(["--config", name])
