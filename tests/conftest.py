"""Offline for every test, with a cache of its own: the libraries read these variables when they are imported."""

import atexit
import os
import shutil
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_EVALUATE_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="retainmix-tests-")
# Compiled kernels of this run alone: those that another instruction set left in the shared folder give wrong numbers.
os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(os.environ["HF_HOME"], "inductor")
atexit.register(shutil.rmtree, os.environ["HF_HOME"], ignore_errors=True)
