"""The options of a benchmark, declared once: what does not belong together is refused by every command."""

from dataclasses import fields
from functools import partial

import pytest
from transformers import HfArgumentParser

from modeling_retainmix.data.benchmark_arguments import BenchmarkArguments, json_object
from modeling_retainmix.evaluation.paper.tables_arguments import TablesArguments
from modeling_retainmix.training.run_arguments import RunArguments


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"eval_data": "plant"}, "--eval_data and --noise belong together"),
        ({"ground_truth": "truth"}, "--ground_truth belongs to --eval_data"),
        ({"protocol": "tiny"}, r"--protocol must be one of \['full', 'small'\], got 'tiny'"),
        ({"factory_config": "{"}, "--factory_config must be a JSON object, got '{'"),
        ({"factory_config": "[1]"}, r"--factory_config must be a JSON object, got \[1\]"),
        ({"factory_config": '{"sizes": 3}'}, "--factory_config has no 'sizes': its sizes are clip_seconds, seed, "),
        ({"factory_config": "[" * 100_000}, "--factory_config must be a JSON object"),
    ],
)
@pytest.mark.parametrize("command", [BenchmarkArguments, RunArguments, partial(TablesArguments, output_dir="tables")])
def test_when_options_do_not_belong_together_then_every_command_names_them(command, options, named):
    with pytest.raises(ValueError, match=named):
        command(**options)


@pytest.mark.parametrize(("command", "required"), [(RunArguments, []), (TablesArguments, ["--output_dir", "tables"])])
def test_when_a_shared_option_is_given_then_each_command_reads_it(command, required):
    options = [
        "--eval_data",
        "plant",
        "--noise",
        "hall",
        "--channel",
        "1",
        "--factory_config",
        '{"tests_per_cell": 7}',
    ]
    (args,) = HfArgumentParser(command).parse_args_into_dataclasses([*required, *options])
    assert (args.eval_data, args.noise, args.channel) == ("plant", "hall", 1)
    assert args.factory_options == {"tests_per_cell": 7}
    shared = {field.name for field in fields(BenchmarkArguments)}
    assert shared.isdisjoint(command.__annotations__)


def test_when_sizes_are_given_as_mapping_or_not_at_all_then_they_are_taken_as_they_are():
    assert json_object("factory_config", {"a": 1}) == {"a": 1}
    assert json_object("factory_config", None) == {}
