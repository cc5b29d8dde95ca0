"""The script of the main job says at once what it waits for, in one process of all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "train_accelerate.py"


@pytest.mark.parametrize(("rank", "lines"), [(None, 1), ("0", 1), ("1", 0)])
def test_when_the_script_starts_then_the_first_process_speaks_before_torch_is_imported(tmp_path, rank, lines):
    (tmp_path / "torch.py").write_text("raise SystemExit('torch is imported')\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    env.pop("LOCAL_RANK", None)
    if rank is not None:
        env["LOCAL_RANK"] = rank
    done = subprocess.run([sys.executable, SCRIPT], env=env, capture_output=True, text=True, check=False)
    said = ["RetainMix: loading torch and transformers ..."] * lines
    assert done.stderr.splitlines() == [*said, "torch is imported"]
