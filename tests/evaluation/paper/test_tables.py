"""The command, from encoders in folders to tables, on a factory of a few clips."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from transformers import set_seed

from modeling_retainmix.data.benchmark import KINDS
from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsForAudioClassification
from modeling_retainmix.evaluation.compared_systems import LOG_MEL_ROWS, compared
from modeling_retainmix.evaluation.embedding_cache import EmbeddingCache
from modeling_retainmix.evaluation.paper import tables
from modeling_retainmix.evaluation.score_encoders import NamedEncoder

SIZES = {"source_references": 2, "target_references": 1, "tests_per_cell": 1, "segments_per_kind": 7}


def save_encoder(folder, seed, **options):
    set_seed(seed)
    config = BeatsConfig(
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        patch_embed_size=8,
        **options,
    )
    BeatsForAudioClassification(config).save_pretrained(folder)
    BeatsFeatureExtractor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders")
    return {
        "teacher": save_encoder(folder / "teacher", 0),
        "student": save_encoder(folder / "student", 1, embedding_layer=2),
        "deeper": save_encoder(folder / "deeper", 2, embedding_layer=3),
    }


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def run(output_dir, cache_dir, *options):
    common = ["--output_dir", output_dir, "--cache_dir", cache_dir, "--device", "cpu", "--cpu_threads", 1]
    common += ["--clip_seconds", 1, "--factory_config", json.dumps(SIZES), "--disable_tqdm", True]
    tables.main([str(option) for option in (*common, *options)])


def write_recordings(root):
    """One machine type, 14 clips of 1 s."""
    generator = np.random.default_rng(0)
    for split, label, count in (("train", "normal", 3), ("test", "normal", 2), ("test", "anomaly", 2)):
        for domain in ("source", "target"):
            for index in range(count):
                path = root / f"fan/{split}/section_00_{domain}_{split}_{label}_{index:04}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, generator.uniform(-0.3, 0.3, 16000), 16000)


def layers(output_dir):
    return {path.stem: json.loads(path.read_text())["layer"] for path in (output_dir / "rows").iterdir()}


@pytest.mark.slow
def test_when_two_seeds_are_scored_then_their_rows_accumulate_in_one_summary(tmp_path, cache_dir, encoders, capsys):
    for seed in (0, 1):
        run(tmp_path, cache_dir, "--teacher", encoders["teacher"], "--models", f"both_0db={encoders['student']}",
            "--seed", seed)  # fmt: skip
    found = layers(tmp_path)
    for best in ("frozen_best_layer", compared("frozen_best_layer", "whitened")):
        assert found.pop(f"{best}_seed0") == found.pop(f"{best}_seed1") in (1, 2, 3)
    expected = {"frozen_last_layer": 3}
    expected |= dict.fromkeys(("random_weights", "frozen_same_layer", "both_0db", "oracle"), 2)
    joined = {compared(row, "joined"): layer for row, layer in expected.items() if row != "oracle"}
    expected |= {compared(row, "whitened"): layer for row, layer in expected.items()}
    expected |= joined | dict.fromkeys(LOG_MEL_ROWS)
    assert found == {f"{row}_seed{seed}": layer for row, layer in expected.items() for seed in (0, 1)}
    assert "| Tagging + mixture loss, 0 dB | 2 | 2 |" in capsys.readouterr().out
    random = [json.loads((tmp_path / f"rows/random_weights_seed{seed}.json").read_text())["scores"] for seed in (0, 1)]
    frozen = [json.loads((tmp_path / f"rows/oracle_seed{seed}.json").read_text())["scores"] for seed in (0, 1)]
    assert random[0] != random[1]
    assert frozen[0] == frozen[1]


@pytest.mark.slow
def test_when_the_figure_is_asked_for_then_benchmark_and_recordings_are_drawn_by_layer(tmp_path, cache_dir, encoders):
    write_recordings(tmp_path / "dcase")
    run(tmp_path / "out", cache_dir, "--teacher", encoders["teacher"], "--models", f"denoising={encoders['student']}",
        "--figure", True, "--figure_data", f"dcase={tmp_path / 'dcase'}")  # fmt: skip
    with (tmp_path / "out" / "figure_2.csv").open(newline="") as file:
        drawn = {(row["data"], row["encoder"], row["layer"]): float(row["score"]) for row in csv.DictReader(file)}
    assert len(drawn) == 2 * 2 * 3
    row = json.loads((tmp_path / "out" / "rows" / "denoising_seed0.json").read_text())
    assert drawn["benchmark", "Denoising", "2"] == pytest.approx(row["hmean_all"], abs=1e-3)


@pytest.mark.slow
def test_when_recordings_are_scored_in_other_noise_then_the_table_says_that_seeds_share_them(
    tmp_path, cache_dir, encoders
):
    write_recordings(tmp_path / "recordings")
    for kind in KINDS:
        (tmp_path / "noise" / kind).mkdir(parents=True)
        soundfile.write(
            tmp_path / f"noise/{kind}/hall.wav", np.random.default_rng(1).uniform(-0.1, 0.1, 320000), 16000
        )
    for seed in (0, 1):
        run(tmp_path / "out", cache_dir, "--teacher", encoders["teacher"], "--eval_data", tmp_path / "recordings",
            "--noise", tmp_path / "noise", "--seed", seed, "--benchmark_seed", seed)  # fmt: skip
    first, second = (json.loads((tmp_path / f"out/rows/oracle_seed{seed}.json").read_text()) for seed in (0, 1))
    assert first["benchmark"] != second["benchmark"]
    assert "means over seeds, which share the recordings" in (tmp_path / "out/summary.md").read_text()


@pytest.mark.slow
def test_when_the_call_is_repeated_then_nothing_is_embedded_and_the_scores_are_the_same(
    tmp_path, cache_dir, encoders, monkeypatch
):
    options = ("--teacher", encoders["teacher"], "--models", f"denoising={encoders['student']}")
    run(tmp_path, cache_dir, *options)
    first = json.loads((tmp_path / "rows" / "denoising_seed0.json").read_text())
    monkeypatch.setattr(BeatsFeatureExtractor, "extract_features", lambda *_: pytest.fail("embedded again"))
    run(tmp_path, cache_dir, *options)
    assert json.loads((tmp_path / "rows" / "denoising_seed0.json").read_text())["clip_scores"] == first["clip_scores"]


@pytest.mark.slow
def test_when_a_rule_of_scoring_is_given_then_it_is_used_and_printed_and_kept_apart(
    tmp_path, cache_dir, encoders, capsys
):
    options = ("--teacher", encoders["teacher"], "--models", f"denoising={encoders['student']}")
    sizes = json.dumps(SIZES | {"source_references": 4, "target_references": 3, "segments_per_kind": 11})
    run(tmp_path / "plain", cache_dir, *options, "--factory_config", sizes)
    rule = ("--factory_config", sizes, "--normalization", "references", "--mix_support", 2)
    run(tmp_path / "mixed", cache_dir, *options, *rule)
    assert "normalization `references` between domains; MemMixup with 2 neighbors;" in capsys.readouterr().out
    plain, mixed = (
        json.loads((tmp_path / name / "rows" / "denoising_seed0.json").read_text()) for name in ("plain", "mixed")
    )
    assert plain["clip_scores"]["scores"] != mixed["clip_scores"]["scores"]
    with pytest.raises(SystemExit, match="scored with normalization"):
        run(tmp_path / "plain", cache_dir, *options, *rule[:4], "--seed", 1)


def test_scores_of_figure_data_obey_normalization_and_memmixup(tmp_path, encoders, monkeypatch):
    write_recordings(tmp_path / "dcase")
    model = BeatsForAudioClassification.from_pretrained(encoders["teacher"])
    encoder = NamedEncoder("teacher", model, BeatsFeatureExtractor(), (1,))
    found, score_recordings = [], tables.score_recordings

    def keep_scores(*arguments, **options):
        scores = score_recordings(*arguments, **options)
        found.append(scores["teacher", 1].scores["recordings", 0.0])
        return scores

    monkeypatch.setattr(tables, "score_recordings", keep_scores)
    for options in ({}, {"normalization": "references"}, {"mix_support": 2}):
        args = tables.TablesArguments(
            output_dir=str(tmp_path),
            teacher="teacher",
            figure_data=[f"dcase={tmp_path / 'dcase'}"],
            cache_dir=str(tmp_path / "cache"),
            disable_tqdm=True,
            **options,
        )
        tables._score_figure_data(args, tmp_path, [encoder], 1.0, EmbeddingCache(tmp_path / "cache"), "cpu")
    plain, normalized, mixed = found
    assert np.abs(normalized - plain).max() > 1e-3
    assert (mixed <= plain).all() and (mixed < plain).any()  # further vectors in the target domain's bank


def test_when_an_original_checkpoint_is_the_teacher_then_its_layers_are_scored():
    original = Path(__file__).parents[2] / "golden" / "beats" / "beats_pretrain.pt"
    encoders = tables._load_encoders(tables.TablesArguments(output_dir="tables", teacher=str(original)))
    assert {name: encoder.layers for name, encoder in encoders.items()} == dict.fromkeys(
        (tables.TEACHER, tables.RANDOM), (1, 2, 3)
    )


def test_when_models_name_different_layers_then_one_must_be_chosen(encoders):
    loaded = {
        name: NamedEncoder(name, BeatsForAudioClassification.from_pretrained(encoders[folder]), None, (1, 2, 3))
        for name, folder in (("teacher", "teacher"), ("both_0db", "student"), ("denoising", "deeper"))
    }

    def arguments(**options):
        return tables.TablesArguments(output_dir="tables", teacher="teacher", **options)

    with pytest.raises(ValueError, match=r"'both_0db': 2, 'denoising': 3.*--embedding_layer"):
        tables._same_layer(arguments(), loaded)
    assert tables._same_layer(arguments(embedding_layer=1), loaded) == 1
    for layer in (0, 4):
        with pytest.raises(ValueError, match=f"--embedding_layer {layer}: teacher has layers 1 to 3"):
            tables._same_layer(arguments(embedding_layer=layer), loaded)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--teacher", "t", "--figure_data", "dcase"), "--figure_data dcase: give NAME=FOLDER"),
        (("--figure_data", "dcase=folder"), "--figure_data needs --teacher"),
        (("--teacher", "t", "--figure_ground_truth", "dcase=folder"), "belongs to no --figure_data"),
        (("--models", "both_0db=folder"), "--models needs --teacher"),
        (("--teacher", "t", "--models", "ours=folder"), "--models ours=...: rows are denoising"),
        (("--teacher", "t", "--models", "both_0db=a", "both_0db=b"), "names both_0db twice"),
        (("--teacher", "t", "--eval_data", "a"), "--eval_data and --noise"),
        (("--teacher", "t", "--protocol", "full", "--eval_data", "a", "--noise", "b"), "error: "),
        ((), "holds no rows"),
    ],
)
def test_when_options_are_wrong_then_one_line_says_which(tmp_path, cache_dir, options, message):
    with pytest.raises(SystemExit) as error:
        run(tmp_path, cache_dir, *options)
    assert message in str(error.value)
    assert str(error.value).startswith("error: ")
