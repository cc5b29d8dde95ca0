"""A live microphone that feeds a watched folder with WAV files of one length."""

import queue
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from modeling_retainmix.atomic import whole_file

_BLOCK_SECONDS = 0.1


class Microphone(threading.Thread):
    """Record without a gap, and write a file for every `seconds`, which appears whole under the time of its beginning.

    What was heard of the last, unfinished file is left out, and so is a file in which the system lost samples.

    Args:
        folder: of the files, `2026-01-31T12-00-00.000Z.wav`, 16 bits.
        seconds: length of a file.
        device: number or name, as sounddevice takes it; None: the default input.
        sounddevice: the library, or what stands for it; None: sounddevice, of the extra `retainmix[microphone]`.

    Attributes:
        num_lost: files that were left out because the system lost samples.

    Raises:
        ImportError: sounddevice, or the library PortAudio under it, is not installed.
        ValueError: no such device, or `seconds` too short.
    """

    def __init__(
        self, folder: Path, seconds: float = 10.0, device: int | str | None = None, sounddevice: Any = None
    ) -> None:
        super().__init__(name="microphone", daemon=True)
        if seconds < 1:
            raise ValueError(f"--seconds {seconds:g} is too short: use at least 1 s")
        self._sounddevice = _import_sounddevice() if sounddevice is None else sounddevice
        try:
            described = self._sounddevice.query_devices(device, "input")
        except ValueError as error:  # sounddevice's errors of a device that is not there
            raise ValueError(f"--microphone {device}: {error}") from error
        self._folder, self._device = folder, device
        self._rate = round(described["default_samplerate"])
        self._samples = round(seconds * self._rate)
        self._blocks: queue.SimpleQueue[tuple[np.ndarray, bool]] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._error: Exception | None = None
        self.num_lost = 0

    def run(self) -> None:
        """Record until `stop`."""
        try:
            with self._sounddevice.InputStream(
                samplerate=self._rate,
                blocksize=round(_BLOCK_SECONDS * self._rate),
                device=self._device,
                channels=1,
                dtype="int16",
                callback=self._hear,
            ):
                self._write_files()
        except Exception as error:  # for `check`
            self._error = error

    def check(self) -> None:
        """Raise what has ended the recording, if anything has.

        Raises:
            OSError: the device or the disk failed.
        """
        if self._error is not None:
            raise OSError(f"the microphone has stopped ({self._error}): check the device") from self._error

    def stop(self) -> None:
        """End; the unfinished file is left out."""
        self._stopped.set()
        self.join()

    def _hear(self, block: np.ndarray, frames: int, time: Any, status: Any) -> None:
        self._blocks.put((block[:, 0].copy(), bool(status)))  # the library uses the block again

    def _write_files(self) -> None:
        heard, is_whole, begun = np.empty(0, dtype=np.int16), True, datetime.now(UTC)
        while not self._stopped.is_set():
            try:
                block, has_gap = self._blocks.get(timeout=_BLOCK_SECONDS)
            except queue.Empty:
                continue
            is_whole = is_whole and not has_gap
            heard = np.concatenate([heard, block])
            if len(heard) < self._samples:
                continue
            if is_whole:
                self._write(heard[: self._samples], begun)
            else:
                self.num_lost += 1
            heard, is_whole, begun = heard[self._samples :], True, datetime.now(UTC)

    def _write(self, samples: np.ndarray, begun: datetime) -> None:
        name = begun.isoformat(timespec="milliseconds").replace(":", "-").replace("+00-00", "Z")
        with whole_file(self._folder / f"{name}.wav") as path:
            sf.write(path, samples, self._rate, subtype="PCM_16")


def _import_sounddevice() -> Any:
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # an OSError where PortAudio is missing
        raise ImportError(
            f"--microphone needs sounddevice and PortAudio ({error}): pip install retainmix[microphone], and on Linux "
            "the system's package libportaudio2"
        ) from error
    return sounddevice
