"""The trend page: the last days of a watch as one HTML file without any other, drawn without JavaScript."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from modeling_retainmix.atomic import whole_file
from modeling_retainmix.watching.drift import measure_drift
from modeling_retainmix.watching.recording import Judgement, Recording

DAYS = 14

_WIDTH, _HEIGHT = 900.0, 240.0  # of the plot, in units of the drawing
_MOST_POINTS = 1500  # beyond which columns are drawn
_COLUMNS = 300
_MOST_ROWS = 50


def write_trend(
    file: str | os.PathLike[str],
    recordings: Sequence[Recording],
    title: str,
    now: float,
    num_waiting: int = 0,
    days: int = DAYS,
) -> None:
    """Write the trend page; one that is there is replaced at once.

    Args:
        file: HTML to write.
        recordings: in the order of decisions.
        title: what is watched.
        now: seconds since 1970; the page shows the `days` before, in the time zone of this machine.
        num_waiting: deliveries that have not arrived yet.
        days: to show.
    """
    shown = [one for one in recordings if one.decided >= now - days * 86400]
    template = Path(__file__).with_name("templates") / "trend.html"
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = lambda value: f"{value:.4g}"
    environment.filters["time"] = lambda value: _local(value).strftime("%Y-%m-%d %H:%M:%S")
    page = environment.from_string(template.read_text(encoding="utf-8")).render(
        title=title,
        now=now,
        zone=_local(now).strftime("UTC%z"),
        days=days,
        num_waiting=num_waiting,
        is_alarm=bool(recordings) and recordings[-1].is_alarm,
        drift=measure_drift(recordings),
        counts={
            verdict: sum(one.verdict == verdict for one in shown) for verdict in ("normal", "anomalous", "unreadable")
        },
        rows=shown[: -_MOST_ROWS - 1 : -1],
        last=next((one for one in reversed(recordings) if one.judgement), None),
        chart=_chart(shown),
    )
    with whole_file(file) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _chart(recordings: Sequence[Recording]) -> dict[str, Any] | None:
    """What is drawn, in units of the drawing; None: nothing could be read."""
    judged = [(one, one.judgement) for one in recordings if one.judgement is not None]
    if not judged:
        return None
    scores = np.asarray([judgement.score for _, judgement in judged])
    thresholds = np.asarray([judgement.threshold for _, judgement in judged])
    low, high = float(min(scores.min(), thresholds.min())), float(max(thresholds.max(), np.quantile(scores, 0.95)))
    high += 0.25 * (high - low or 1.0)
    begin, end = recordings[0].decided, recordings[-1].decided
    span = max(end - begin, 1.0)

    def x(seconds: float) -> float:
        return round(_WIDTH * (seconds - begin) / span, 1)

    def y(score: float) -> float:
        return round(_HEIGHT * (1 - (min(score, high) - low) / (high - low)), 1)

    def point(one: Recording, judgement: Judgement) -> dict[str, Any]:
        where = {"x": x(one.decided), "y": y(judgement.score), "beyond": judgement.score > high}
        return where | {"recording": one, "confirmed": one.confirmed is not None}

    normal = [pair for pair in judged if not pair[0].is_anomalous]
    anomalous = [pair for pair in judged if pair[0].is_anomalous]
    columns: list[dict[str, float]] = []
    if len(judged) > _MOST_POINTS:
        width = _WIDTH / _COLUMNS
        for index, pairs in _by_column(normal, lambda one: x(one.decided) / width).items():
            values = sorted(judgement.score for _, judgement in pairs)
            median = values[len(values) // 2]
            columns.append(
                {"x": round((index + 0.5) * width, 1), "y": y(values[-1]), "low": y(values[0]), "at": y(median)}
            )
        highest = _by_column(anomalous, lambda one: x(one.decided) / width).values()
        anomalous, normal = [max(pairs, key=lambda pair: pair[1].score) for pairs in highest], []
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "normal": [point(*pair) for pair in normal],
        "anomalous": [point(*pair) for pair in anomalous],
        "columns": columns,
        "threshold": _steps([(x(one.decided), y(judgement.threshold)) for one, judgement in judged]),
        "alarms": _spans(recordings, x),
        "unreadable": sorted({x(one.decided) for one in recordings if one.judgement is None}),
        "levels": [(y(value), f"{value:.3g}") for value in np.linspace(low, high, 5)],
        "times": [(x(value), _local(value).strftime("%d %b %H:%M")) for value in np.linspace(begin, begin + span, 5)],
    }


def _by_column(
    pairs: Sequence[tuple[Recording, Judgement]], column: Callable[[Recording], float]
) -> dict[int, list[tuple[Recording, Judgement]]]:
    found: dict[int, list[tuple[Recording, Judgement]]] = {}
    for pair in pairs:
        found.setdefault(min(int(column(pair[0])), _COLUMNS - 1), []).append(pair)
    return found


def _steps(points: Sequence[tuple[float, float]]) -> str:
    """A line of steps through the points, of which those that change nothing are left out, as an SVG path."""
    path = [f"M{points[0][0]} {points[0][1]}"]
    height = points[0][1]
    for across, other in points[1:]:
        if other != height:
            path.append(f"H{across}V{other}")
            height = other
    return "".join([*path, f"H{points[-1][0]}"])


def _spans(recordings: Sequence[Recording], x: Callable[[float], float]) -> list[tuple[float, float]]:
    """Beginning and width of each stretch in which the alarm was on."""
    spans, begun = [], None
    for one in recordings:
        if one.is_alarm and begun is None:
            begun = x(one.decided)
        elif not one.is_alarm and begun is not None:
            spans.append((begun, max(round(x(one.decided) - begun, 1), 2.0)))
            begun = None
    if begun is not None:
        spans.append((begun, max(round(x(recordings[-1].decided) - begun, 1), 2.0)))
    return spans


def _local(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds).astimezone()
