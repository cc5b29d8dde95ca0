"""The main job says at once what it waits for, in one process of all: as a script and as a module."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = {"script": ["train_accelerate.py"], "module": ["-m", "modeling_retainmix.training.main"]}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(("rank", "lines"), [(None, 1), ("0", 1), ("1", 0)])
def test_when_the_main_job_starts_then_the_first_process_speaks_before_torch_is_imported(
    tmp_path, program, rank, lines
):
    (tmp_path / "torch.py").write_text("raise SystemExit('torch is imported')\n")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    env.pop("LOCAL_RANK", None)
    if rank is not None:
        env["LOCAL_RANK"] = rank
    command = [sys.executable, *PROGRAMS[program]]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    said = ["RetainMix: loading torch and transformers ..."] * lines
    assert done.stderr.splitlines() == [*said, "torch is imported"]
