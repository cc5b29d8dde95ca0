"""The `dcase_score` metric outside the package: its Space folder, and its place in the local cache of `evaluate`.

python -m modeling_retainmix.hub.metric_space           # makes evaluate.load("dcase_score") work on this machine
python -m modeling_retainmix.hub.metric_space FOLDER    # writes the Space's files into a folder
"""

import hashlib
import os
import shutil
import sys
import uuid
from pathlib import Path

from evaluate.loading import init_dynamic_modules

METRIC_DIR = Path(__file__).parents[1] / "metrics" / "dcase_score"
SPACE_FILES = ("README.md", "app.py", "dcase_score.py", "requirements.txt", "tests.py")


def write_metric_space(output_dir: str | os.PathLike) -> Path:
    """Write the metric's Space, in the shape in which it is pushed: the files of the package's metric folder.

    Args:
        output_dir: folder to write to, created if absent; files of the same names are replaced.

    Returns:
        The folder.
    """
    output_dir = Path(output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    for name in SPACE_FILES:
        shutil.copyfile(METRIC_DIR / name, output_dir / name)
    return output_dir


def install_metric() -> Path:
    """Make `evaluate.load("dcase_score")` work without a network and from any directory.

    The metric's file goes into the cache of `evaluate` (`HF_MODULES_CACHE`), where `load` looks for a bare name that
    it finds neither in the working directory nor on the Hub. Call it once after installing or upgrading the
    package; several processes may call it at the same time. Without a network set `HF_EVALUATE_OFFLINE=1`, or `load`
    first waits for the Hub.

    Returns:
        The installed file.
    """
    script = (METRIC_DIR / "dcase_score.py").read_bytes()
    # `load` takes the newest file in the folders whose names have 64 characters.
    metric_dir = Path(init_dynamic_modules()) / "metrics" / "evaluate-metric--dcase_score"
    version_dir = metric_dir / hashlib.sha256(script).hexdigest()
    version_dir.mkdir(parents=True, exist_ok=True)
    for package_dir in (metric_dir.parent, metric_dir, version_dir):
        (package_dir / "__init__.py").touch()
    staged = version_dir / f"{uuid.uuid4().hex}.staged"
    staged.write_bytes(script)
    return staged.replace(version_dir / "dcase_score.py")  # whole for every process at any moment


if __name__ == "__main__":
    print(write_metric_space(sys.argv[1]) if len(sys.argv) > 1 else install_metric())
