"""The detector of a watch: it decides recordings one by one, and is read again when its folder changes."""

import hashlib
import math
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from modeling_retainmix.detection.detector import AnomalyDetector
from modeling_retainmix.detection.saved_detector import SETTINGS_FILE
from modeling_retainmix.detection.windows import ClipScore
from modeling_retainmix.watching.recording import Judgement

QUARTILE = 0.25

_BLOCK = 2**20
_MOST_READS = 10

_States = dict[str, tuple[int, int, int]]


class Judge(Protocol):
    """What a watch asks of a detector."""

    def refresh(self) -> None:
        """Read the detector again if it has changed."""

    def judge(self, path: Path) -> Judgement:
        """Decide a recording.

        Raises:
            ValueError, FileNotFoundError: it cannot be read; the message names it.
        """


class DetectorJudge:
    """A saved detector, and thresholds for clips of any length.

    Args:
        folder: of the detector.
        false_alarm_rate: share of normal recordings that may be called anomalous.
        channel: of recordings with several channels: an index from 0, or "mean".
        far_channel: of the same recordings, for a detector with two microphones.
        device: where the encoder computes; None: the GPU if there is one.
        on_problem: called with a sentence when the detector has changed and cannot be read; the earlier one goes on.

    Raises:
        ValueError, FileNotFoundError: no detector, one with too few references for thresholds, or one that hears
            another number of microphones than there are channels.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        false_alarm_rate: float = 0.1,
        channel: int | str | None = None,
        far_channel: int | str | None = None,
        device: str | None = None,
        on_problem: Callable[[str], None] = warnings.warn,
    ) -> None:
        self._folder, self._rate, self._device = Path(folder), false_alarm_rate, device
        self._channels = {"channel": channel, "far_channel": far_channel}
        self._on_problem = on_problem
        self._states: _States = {}
        if not (self._folder / SETTINGS_FILE).is_file():
            raise FileNotFoundError(
                f"{folder} is not the folder of a saved detector: make one with `retainmix fit`, or `save_pretrained`"
            )
        self._load()

    def refresh(self) -> None:
        """Read the detector again if files of its folder have changed."""
        states = _file_states(self._folder)
        if states == self._states:
            return
        self._states = states
        try:
            self._load()
        except (OSError, ValueError) as error:
            self._on_problem(f"{self._folder} has changed and cannot be read, the earlier detector goes on: {error}")

    def judge(self, path: Path) -> Judgement:
        """Decide a recording; see `Judge`."""
        clips: list[ClipScore] = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            self._detector.score([path], **self._channels, on_score=clips.append)
            (clip,) = clips
            threshold = self._threshold(clip.num_windows)
        texts = [str(one.message) for one in caught if issubclass(one.category, UserWarning)]
        told = tuple(text for text in texts if text not in self._known_warnings)
        quartile = self._quartile(clip.num_windows)
        return Judgement(clip.score, clip.num_windows, threshold, quartile, self._rate, self.fingerprint, told)

    def _load(self) -> None:
        # A loaded detector is mapped from its files: one that is overwritten in place would end this process.
        copy = tempfile.TemporaryDirectory(prefix="retainmix-watch-", ignore_cleanup_errors=True)
        self._states = _copy_unchanged(self._folder, Path(copy.name))
        detector: Any = AnomalyDetector.from_pretrained(copy.name, device=self._device)
        microphones, far_channel = detector.settings.microphones, self._channels["far_channel"]
        if (microphones == "near") != (far_channel is None):
            raise ValueError(
                f"{self._folder} hears two microphones (microphones={microphones!r}): name the far one's channel, "
                "far_channel= (--far-channel)"
                if far_channel is None
                else f"{self._folder} hears one microphone, so there is no far_channel= (--far-channel): leave it out"
            )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            basis = detector.threshold_basis(self._rate)
            if basis.num_missing:  # before any recording is read
                smallest = math.ceil(100 / (basis.num_units + 1)) / 100  # rounded up, so that it suffices
                other = "" if basis.normal is None else f", or take a rate of {smallest:g} or more"
                raise ValueError(
                    f"a false alarm rate of {100 * self._rate:.3g} % needs {basis.num_missing} more "
                    f"{basis.noun}{'s' if basis.num_missing > 1 else ''} than {self._folder} has: add some with "
                    f"`retainmix fit --add`{other}"
                )
            detector.threshold(self._rate)
        self._known_warnings = {str(one.message) for one in caught}
        for text in sorted(self._known_warnings):  # once, not for every recording
            warnings.warn(text, stacklevel=3)
        self._detector, self._copy = detector, copy
        self._threshold = cache(lambda count: detector.threshold(self._rate, num_windows=count))
        self._quartile = cache(lambda count: _quartile(detector, count))
        self.fingerprint = detector_fingerprint(copy.name)


def detector_fingerprint(folder: str | os.PathLike[str]) -> str:
    """Return 16 hex digits that tell saved detectors apart: of SHA-256 over names and contents of its files."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).iterdir()):
        if path.suffix in (".json", ".safetensors") and not path.name.startswith("."):
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
    return digest.hexdigest()[:16]


def _quartile(detector: Any, num_windows: int) -> float | None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        value = detector.threshold(QUARTILE, num_windows=num_windows)
    return None if caught else float(value)  # it warns where the references are too few


def _copy_unchanged(folder: Path, copy: Path) -> _States:
    """Copy the files of a folder, again where they change meanwhile; return their states."""
    for _ in range(_MOST_READS):
        states = _file_states(folder)
        for name in states:
            shutil.copyfile(folder / name, copy / name)
        if _file_states(folder) == states:
            return states
    raise ValueError(f"files of {folder} changed while it was read, {_MOST_READS} times")


def _file_states(folder: Path) -> _States:
    states: _States = {}
    with suppress(OSError):  # a folder that is away for a moment
        for path in folder.iterdir():
            with suppress(OSError):
                status = path.stat()
                if path.is_file() and not path.name.startswith("."):
                    states[path.name] = (status.st_ino, status.st_mtime_ns, status.st_size)
    return states
