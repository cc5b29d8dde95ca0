"""What a detector is given: clips of one or two microphones, and the domain of each reference clip."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modeling_retainmix.audio import AudioSource, audio_sources
from modeling_retainmix.data.layouts.dcase_sections import parse_dcase_name
from modeling_retainmix.detection.cancellation import cancel_far
from modeling_retainmix.detection.conditions import domains_of_conditions
from modeling_retainmix.detection.groups import recording_groups
from modeling_retainmix.detection.settings import Microphones

_DOMAIN_NAMES = dict.fromkeys(("source", "0", "False"), "source") | dict.fromkeys(("target", "1", "True"), "target")
_ANOMALY_NAME = re.compile(r"(?:^|_)anomaly_(?:id_\d+_)?\d")  # of DCASE in any year, also behind a prefix
_ANOMALY_FOLDERS = {"abnormal", "anomaly", "anomalous", "anomalies"}  # MIMII and ToyADMOS


def clip_sources(
    microphones: Microphones,
    audio: Any,
    sampling_rate: int | None = None,
    channel: int | str | None = None,
    far: Any = None,
    far_channel: int | str | None = None,
) -> list[AudioSource]:
    """List the clips of one or two microphones without reading them.

    Args:
        microphones: of `DetectorSettings`.
        audio: clips of the near microphone, in any form that `audio_sources` takes, or what this function returned.
        sampling_rate: of arrays, in Hz.
        channel: what to take of near files with several channels.
        far: the clips of the far microphone in the same order; None: they are another channel of `audio`.
        far_channel: what to take of far files with several channels.

    Returns:
        With `microphones="near"` those of `audio`; with "cancel" sources that load the near clip, float32 [samples],
        and of which the encoder hears what is left when the far clip has been subtracted (`cancel_far`); else sources
        that load float32 [samples, 2], near and far.

    Raises:
        FileNotFoundError, ValueError: as `audio_sources`; no far clips, another number of them, or far clips that
            these microphones do not read. Loading or processing raises a ValueError if a far clip has another length.
    """
    if isinstance(audio, list) and audio and all(isinstance(item, AudioSource) for item in audio):
        return audio
    near_sources = audio_sources(audio, sampling_rate, channel)
    first = near_sources[0].name
    if microphones == "near":
        if far is not None or far_channel is not None:
            raise ValueError(
                f"{first} has a far clip, which microphones='near' does not read: use 'cancel', 'residual' or 'fusion'"
            )
        return near_sources
    if far is None and far_channel is None:
        raise ValueError(
            f"{first} has no far clip, which microphones={microphones!r} needs: pass far=, or far_channel= of its file"
        )
    far_sources = audio_sources(audio if far is None else far, sampling_rate, far_channel)
    if len(far_sources) != len(near_sources):
        shorter = min(len(far_sources), len(near_sources))
        longer, other = (near_sources, "far") if len(near_sources) > shorter else (far_sources, "near")
        raise ValueError(
            f"{len(near_sources)} near and {len(far_sources)} far clips: {longer[shorter].name} has no {other} clip, "
            "pass one far clip for each near one"
        )
    join = _cancelled if microphones == "cancel" else _pair
    return [join(*pair) for pair in zip(near_sources, far_sources, strict=True)]


def reference_domains(names: Sequence[str], domains: Any = None, are_added: bool = False) -> list[str]:
    """Return the domain of each reference, "source" or "target".

    Args:
        names: of the clips.
        domains: as the user gave them, a sequence, array, tensor or column of "source" and "target", or of 0 and 1, or
            of False and True for them; one of these names for all; a text of `recording_groups`, such as "folder" or
            "conditions.csv:load", which gives the condition of each clip (`domains_of_conditions`); None: those in the
            names if all are DCASE names, or else one domain.
        are_added: to earlier references, of whose conditions nothing is known.

    Raises:
        FileNotFoundError, ValueError: their number is not that of the clips, one is unknown, or as `recording_groups`
            and `domains_of_conditions`.
    """
    if domains is None:
        parsed = [parse_dcase_name(Path(name).stem) or {"domain": ""} for name in names]
        named = [parts["domain"] for parts in parsed]
        return named if all(named) else ["source"] * len(names)
    if isinstance(domains, (torch.Tensor, np.ndarray)):
        if domains.ndim != 1:
            raise ValueError(f"domains have shape {list(domains.shape)}: pass one for each clip, [clips]")
        domains = domains.tolist()
    if isinstance(domains, str) and domains in ("source", "target"):
        return [domains] * len(names)
    if isinstance(domains, str):
        if are_added:
            raise ValueError(
                f"domains={domains!r} tells domains by how frequent conditions are, which references that are added "
                "do not show: use 'source' or 'target', or fit all references at once"
            )
        return domains_of_conditions(names, [str(one) for one in recording_groups(names, domains, "domains")])
    if len(domains) != len(names):
        raise ValueError(f"{len(domains)} domains for {len(names)} references: pass one for each clip")
    for name, domain in zip(names, domains, strict=True):
        if str(domain) not in _DOMAIN_NAMES:
            raise ValueError(f"{name} has domain {domain!r}: use 'source' or 'target' (or 0 or 1)")
    return [_DOMAIN_NAMES[str(domain)] for domain in domains]


def check_normal(names: Sequence[str]) -> None:
    """Check that no reference is named as an anomaly.

    The names of DCASE Task 2 of all years count, and the folders of MIMII and ToyADMOS.

    Raises:
        ValueError: one is; the message names the first.
    """
    anomalies = [name for name in names if _is_anomaly(Path(name))]
    if anomalies:
        others = f" and {len(anomalies) - 1} others" if len(anomalies) > 1 else ""
        raise ValueError(
            f"{anomalies[0]}{others} of {len(names)} references are named as anomalies: pass normal clips only, such "
            "as the folder train"
        )


def _is_anomaly(path: Path) -> bool:
    parts = parse_dcase_name(path.stem)
    if parts is not None and parts["label"]:
        return parts["label"] == "anomaly"
    return bool(_ANOMALY_NAME.search(path.stem)) or path.parent.name.lower() in _ANOMALY_FOLDERS


def _pair(near: AudioSource, far: AudioSource) -> AudioSource:
    def load() -> np.ndarray:
        near_clip = near.load()
        return np.stack([near_clip, _load_far(near, far, len(near_clip))], axis=1)

    return AudioSource(near.name, load, near.describe)


def _cancelled(near: AudioSource, far: AudioSource) -> AudioSource:
    def process(near_clip: np.ndarray) -> np.ndarray:
        return cancel_far(near_clip, _load_far(near, far, len(near_clip)), near.name)

    return AudioSource(near.name, near.load, near.describe, process)


def _load_far(near: AudioSource, far: AudioSource, num_samples: int) -> np.ndarray:
    try:
        far_clip = far.load()
    except (FileNotFoundError, ValueError) as error:
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(f"the far clip of {near.name} cannot be used: {error}") from error
    if len(far_clip) != num_samples:
        raise ValueError(
            f"{near.name} has {num_samples} samples and its far clip ({far.name}) {len(far_clip)}: cut both to the "
            "same time"
        )
    return far_clip
