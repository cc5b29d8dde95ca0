"""One watched recording: what was decided of it, by what, and how it is told to others."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

Alarm = Literal["off", "raised", "on", "cleared"]


class Judgement(NamedTuple):
    """What a detector says of a recording.

    Attributes:
        score: higher is more anomalous.
        num_windows: so many windows took part.
        threshold: above which a recording of so many windows is anomalous.
        upper_quartile: which a quarter of the references exceed, each scored without itself, for as many windows;
            None: the detector cannot tell.
        false_alarm_rate: that the threshold is for.
        detector: fingerprint of the detector.
        warnings: what the detector warned of, such as another sampling rate than that of all references.
    """

    score: float
    num_windows: int
    threshold: float
    upper_quartile: float | None
    false_alarm_rate: float
    detector: str
    warnings: tuple[str, ...] = ()

    @property
    def is_anomalous(self) -> bool:
        """Whether the score is above the threshold."""
        return self.score > self.threshold


@dataclass(frozen=True)
class Recording:
    """A row of the state: one content, decided once.

    Attributes:
        number: in the order of decisions; 0 before it is stored.
        content: SHA-256 of the file, in hex; of a file that cannot be opened, "unreadable:" and that of its path.
        path: where it was found first.
        recorded: when the file was last changed, in seconds since 1970.
        decided: when it was scored, likewise.
        alarm: of the m of the last n recordings, with this one: "raised" and "cleared" when it has just changed.
        judgement: None: it cannot be read.
        cause: why it cannot be read; None: it can.
        confirmed: the name under which a person's "this was normal" made it a reference; None: nobody did.
    """

    content: str
    path: str
    recorded: float
    decided: float
    judgement: Judgement | None
    cause: str | None = None
    alarm: Alarm = "off"
    number: int = 0
    confirmed: str | None = None

    @property
    def is_anomalous(self) -> bool | None:
        """The decision, which a person may have turned into normal; None: it cannot be read."""
        if self.judgement is None:
            return None
        return self.judgement.is_anomalous and self.confirmed is None

    @property
    def is_alarm(self) -> bool:
        """Whether the alarm is on after this recording."""
        return self.alarm in ("raised", "on")

    @property
    def verdict(self) -> str:
        """The decision in a word: "normal", "anomalous" or "unreadable"."""
        return {None: "unreadable", True: "anomalous", False: "normal"}[self.is_anomalous]

    def event(self) -> dict[str, Any]:
        """What hooks and `--json` are told; numbers and text alone."""
        told: dict[str, Any] = {
            "number": self.number,
            "recording": self.path,
            "content": self.content,
            "recorded": _iso(self.recorded),
            "decided": _iso(self.decided),
            "verdict": self.verdict,
            "alarm": self.alarm,
        }
        if self.judgement is None:
            return told | {"cause": self.cause}
        judged = self.judgement._asdict()
        return told | judged | {"warnings": list(self.judgement.warnings)}


@dataclass(frozen=True)
class Delivery:
    """An event on its way to one hook.

    Attributes:
        key: idempotency key: the same for every try, and for the same decision made again after the state was lost.
        hook: `id` of the hook.
        hook_name: `name` of the hook, for people.
        payload: the event with its key, as JSON.
        tries: so far, all without success.
        due: when to try next, in seconds since 1970.
        error: of the last try.
    """

    key: str
    hook: str
    hook_name: str
    payload: str
    tries: int = 0
    due: float = 0.0
    error: str = ""


def delivery(recording: Recording, hook: str, hook_name: str) -> Delivery:
    """Make the delivery of a stored recording to a hook."""
    told = json.dumps([recording.content, recording.cause, hook])
    key = hashlib.sha256(told.encode()).hexdigest()[:32]
    payload = json.dumps({"key": key, **recording.event()}, allow_nan=False)
    return Delivery(key, hook, hook_name, payload, due=recording.decided)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
