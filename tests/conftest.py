"""Offline for every test, with a cache of its own: the libraries read these variables when they are imported."""

import atexit
import os
import shutil
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_EVALUATE_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="retainmix-tests-")
atexit.register(shutil.rmtree, os.environ["HF_HOME"], ignore_errors=True)
