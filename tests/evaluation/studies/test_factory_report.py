"""The report's tables and its command."""

import dataclasses

import pytest
import torch
from safetensors.torch import load_file, save_file

from modeling_retainmix import BeatsConfig, BeatsModel
from modeling_retainmix.evaluation.studies import factory_acceptance, factory_report
from modeling_retainmix.evaluation.studies.factory_acceptance import Check
from modeling_retainmix.evaluation.studies.factory_report import summary_table, type_table

CHECKS = [
    Check("clean clips", {"fan": 80.0, "pump": 90.0}, bounds=(80, float("inf")), each=(70, float("inf"))),
    Check("level alone", {"fan": 50.0, "pump": 70.0}, bounds=(-float("inf"), 54), each=(-float("inf"), 60)),
    Check("squeal", {"pump": 75.0, "saw": 77.0}, bounds=(60, 95)),
]


def test_summary_names_value_bound_and_verdict_of_every_check():
    assert summary_table(CHECKS, {"same bytes": True, "recorded hash": False}).splitlines()[2:] == [
        "| clean clips | 84.7 | >= 80 | 80.0 to 90.0 | >= 70 | pass |",
        "| level alone | 58.3 | <= 54 | 50.0 to 70.0 | <= 60 | FAIL |",
        "| squeal | 76.0 | 60 to 95 | 75.0 to 77.0 | | pass |",
        "| same bytes | | equal | | | pass |",
        "| recorded hash | | equal | | | FAIL |",
    ]


def test_type_table_leaves_cells_empty_where_a_type_has_no_value():
    assert type_table(CHECKS).splitlines() == [
        "| check | fan | pump | saw |",
        "|---|---:|---:|---:|",
        "| clean clips | 80.0 | 90.0 | |",
        "| level alone | 50.0 | 70.0 | |",
        "| squeal | | 75.0 | 77.0 |",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "split"), [([], "validation"), (["--evaluation"], "evaluation")])
def test_the_command_prints_the_asked_split_and_exits_by_the_verdict(tmp_path, monkeypatch, capsys, arguments, split):
    protocol = dataclasses.replace(factory_report.ACCEPTANCE_PROTOCOL, clip_seconds=1.0)
    monkeypatch.setattr(factory_report, "ACCEPTANCE_PROTOCOL", protocol)
    monkeypatch.setattr(
        factory_report, "REPORT_CONFIG", dataclasses.replace(factory_report.SAME_BYTES_CONFIG, segments_per_kind=22)
    )
    monkeypatch.setattr(factory_acceptance, "MIN_CLIPS", 1)
    with pytest.raises(SystemExit) as exit_:
        factory_report.main([*arguments, "--cache_dir", str(tmp_path), "--num_proc", "1"])
    printed = capsys.readouterr().out
    assert f"{split} types" in printed
    for same in ("in two runs", "with 1 and 4 workers", "recorded hash of sample clips"):
        assert any(same in line and line.endswith("| pass |") for line in printed.splitlines())
    assert exit_.value.code == (1 if "FAIL" in printed else 0)


def test_when_weights_of_the_teacher_are_missing_then_the_command_ends_at_once(tmp_path, capsys):
    torch.manual_seed(0)
    config = BeatsConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, patch_embed_size=8
    )
    BeatsModel(config).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    lost = next(iter(tensors))
    del tensors[lost]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    for folder, message in ((tmp_path, f"lack the tensor {lost}"), (tmp_path / "absent", "absent")):
        with pytest.raises(SystemExit, match="2"):
            factory_report.main(["--teacher", str(folder), "--cache_dir", str(tmp_path / "tables")])
        last_line = capsys.readouterr().err.splitlines()[-1]
        assert "error: --teacher: " in last_line and message in last_line
    assert not (tmp_path / "tables").exists()
