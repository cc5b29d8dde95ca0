"""Tables of the procedural factory: schema, same bytes for every run and number of workers, safe interruption."""

import dataclasses
import multiprocessing
import os

import numpy as np
import psutil
import pytest
from datasets import List, Value

from modeling_retainmix.data.benchmark import BenchmarkProtocol, build_benchmark
from modeling_retainmix.data.clips import read_clips
from modeling_retainmix.data.factory import build_factory, dataset
from modeling_retainmix.data.factory.catalogue import SPLITS

MACHINE_COLUMNS = ["audio", "machine_type", "section", "domain", "split", "label", "attributes", "factory", "fault"]


def _bytes(factory):
    return {
        name: table.data.column("audio").combine_chunks().flatten().to_numpy().tobytes()
        for name, table in factory.items()
    }


def test_tables_have_the_columns_of_clean_and_noise_tables(tiny_factory):
    assert set(tiny_factory) == {f"{split}_{what}" for split in SPLITS for what in ("machines", "noise")}
    for name, table in tiny_factory.items():
        machines = name.endswith("_machines")
        columns = [*MACHINE_COLUMNS, "session"] if machines else ["audio", "noise_class", "kind", "factory"]
        assert table.column_names == columns
        assert table.features["audio"] == List(Value("int16"))
        clips, lengths = read_clips(table, np.arange(len(table)))
        assert (lengths == 16000).all()
        assert clips.any(axis=1).all()


def test_training_pool_holds_normals_of_many_instances(tiny_factory, tiny_config):
    table = tiny_factory["train_machines"]
    assert set(table["label"]) == {"normal"}
    assert len(table) == 12 * tiny_config.instances_per_type * tiny_config.clips_per_instance
    assert len(set(zip(table["machine_type"], table["attributes"], strict=True))) == 12 * 2


def test_no_two_clips_are_equal(tiny_factory):
    for table in tiny_factory.values():
        clips, _ = read_clips(table, np.arange(len(table)))
        assert len({clip.tobytes() for clip in clips}) == len(table)


def test_the_tables_make_a_benchmark_without_reuse_of_noise(tiny_factory):
    protocol = BenchmarkProtocol("tiny", 2, 1, 2, (0,), (0,), clip_seconds=1.0)
    for split in ("validation", "evaluation"):
        benchmark = build_benchmark(tiny_factory[f"{split}_machines"], tiny_factory[f"{split}_noise"], protocol)
        assert len(benchmark) == 6
        assert all(machine.reused_segments == 0 for machine in benchmark)


def test_two_runs_and_one_or_four_workers_give_the_same_bytes(tiny_factory, tiny_config, tmp_path):
    expected = _bytes(tiny_factory)
    assert _bytes(build_factory(tmp_path / "again", tiny_config)) == expected
    assert _bytes(build_factory(tmp_path / "workers", tiny_config, num_proc=4)) == expected


@pytest.mark.slow
def test_version_3_is_made_alike_by_one_and_by_four_workers_beside_version_4(tiny_factory, tiny_config, tmp_path):
    config = dataclasses.replace(tiny_config, version=3)
    build_factory(tmp_path, tiny_config, splits=["validation"])
    first = build_factory(tmp_path, config, splits=["validation"])
    assert len(os.listdir(tmp_path)) == 2
    assert first["validation_machines"].column_names == MACHINE_COLUMNS
    assert _bytes(build_factory(tmp_path / "workers", config, 4, ["validation"])) == _bytes(first)
    assert _bytes(first)["validation_machines"] != _bytes(tiny_factory)["validation_machines"]


def test_some_splits_alone_hold_the_same_clips(tiny_factory, tiny_config, tmp_path):
    alone = build_factory(tmp_path, tiny_config, splits=["validation"])
    assert set(alone) == {"validation_machines", "validation_noise"}
    assert _bytes(alone).items() <= _bytes(tiny_factory).items()


def test_a_finished_build_is_opened_and_not_made_again(tiny_config, tmp_path, monkeypatch):
    config = dataclasses.replace(tiny_config, tests_per_cell=1, segments_per_kind=1)
    first = build_factory(tmp_path, config, splits=["validation"])
    monkeypatch.setattr(dataset, "synthesize", lambda *_: pytest.fail("made again"))
    assert _bytes(build_factory(tmp_path, config, splits=["validation"])) == _bytes(first)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_build_leaves_no_half_cache_and_can_be_repeated(
    tiny_config, tmp_path, monkeypatch, interruption
):
    real, calls = dataset.synthesize, []

    def interrupted(clips, config):
        calls.append(len(clips))
        if len(calls) == 2:
            raise interruption
        return real(clips, config)

    monkeypatch.setattr(dataset, "synthesize", interrupted)
    with pytest.raises(interruption):
        build_factory(tmp_path, tiny_config, splits=["validation"])
    assert os.listdir(tmp_path) == []
    assert len(build_factory(tmp_path, tiny_config, splits=["validation"])["validation_machines"]) == 6 * 11


def build_and_tell(config, cache_dir, started):
    executor = dataset.ProcessPoolExecutor

    def telling(*args, **options):
        pool = executor(*args, **options)
        pool.submit(os.getpid).result()  # the workers are there
        started.put([child.pid for child in psutil.Process().children()])
        return pool

    dataset.ProcessPoolExecutor = telling
    build_factory(cache_dir, config, num_proc=2)


@pytest.mark.slow
def test_when_a_build_is_killed_then_its_workers_end(tiny_config, tmp_path):
    context = multiprocessing.get_context("spawn")
    started = context.SimpleQueue()
    config = dataclasses.replace(tiny_config, clips_per_instance=50)  # more than is made before the kill
    process = context.Process(target=build_and_tell, args=(config, tmp_path, started))
    process.start()
    workers = [psutil.Process(pid) for pid in started.get()]
    process.kill()
    process.join()
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=300)
    for worker in alive:
        worker.kill()
    assert not alive


def test_when_a_split_is_unknown_then_the_error_names_it(tiny_config, tmp_path):
    with pytest.raises(ValueError, match=r"splits must be some of .*'dev'"):
        build_factory(tmp_path, tiny_config, splits=["dev"])


def test_when_there_are_no_workers_then_the_error_says_so(tiny_config, tmp_path):
    with pytest.raises(ValueError, match="num_proc must be at least 1"):
        build_factory(tmp_path, tiny_config, num_proc=0)
