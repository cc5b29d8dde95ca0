"""The verdict as HTML: what the detector said, at the right places, and nothing that loads from elsewhere."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from anomaly_demo import detect, load_encoder
from verdict_page import error_page, event_lines, hint_page, level_chart, score_strip, shown_part, verdict_page


@pytest.fixture(scope="module")
def detections(references, machine):
    encoder = load_encoder()
    found = {name: detect(encoder, references, str(machine[name])) for name in ("normal", "faulty")}
    return found | {"few": detect(encoder, references[:3], str(machine["faulty"]))}


def text_of(page: str) -> str:
    page = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@pytest.mark.parametrize(
    ("name", "badge", "told"),
    [
        ("normal", "rm-normal", "is not above the threshold"),
        ("faulty", "rm-anomalous", "is above the threshold"),
        ("few", "rm-none", "no verdict without 6 more recordings"),
    ],
)
def test_page_shows_verdict_score_p_value_and_why(detections, name, badge, told):
    page = verdict_page(detections[name])
    judgement = detections[name].judgement
    assert f'class="rm-badge {badge}"' in page and page.count("rm-badge") == 2  # and once in the style
    text = text_of(page)
    assert told in text and f"Score {judgement.score:.4g}" in text and f"p-value {judgement.p_value:.2g}" in text
    assert (f"Threshold {judgement.threshold:.4g}" in text) == (name != "few")
    assert not re.search(r"""(src|href)=["'](?!data:)|url\(|@import|https?:""", page)


def test_page_says_where_and_when_events_apart_from_shifts(detections):
    page = verdict_page(detections["faulty"])
    events, shifts = page.split("Events in time")[1].split("Constant shifts of level")
    for event in [line.event for line in event_lines(detections["faulty"].events, 0.0, 2.0)]:
        assert event.sentence in (shifts if event.lasts else events)
        assert event.sentence not in (events if event.lasts else shifts)
    where = re.search(r'rm-where">(.*?)</p>', page)[1]
    strongest = max(detections["faulty"].events, key=lambda event: abs(event.strength))
    assert strongest.sentence in where
    assert any(
        event.low_hz < 3000 and event.high_hz > 3000 for event in detections["faulty"].events if not event.lasts
    )


def test_when_there_are_many_events_then_a_weaker_shift_is_listed_all_the_same(detections):
    events = detections["faulty"].events
    burst, shift = (next(event for event in events if event.lasts is lasts) for lasts in (False, True))
    many = [replace(burst, strength=30.0 - index) for index in range(14)] + [replace(shift, strength=4.5)]
    page = verdict_page(replace(detections["faulty"], events=many))
    assert many[-1].sentence in page.split("Constant shifts of level")[1]
    assert "And 4 weaker ones." in text_of(page)
    assert [line.number for line in event_lines(many, 0.0, 2.0)] == list(range(1, 12))


def test_when_nothing_stands_out_then_the_page_says_so(detections):
    quiet = replace(detections["normal"], events=[])
    assert "No time and no band stands out" in text_of(verdict_page(quiet))
    loud = replace(quiet, judgement=quiet.judgement._replace(is_anomalous=True))
    assert "differs a little in many places" in text_of(verdict_page(loud))


def test_marks_lie_where_the_events_are_and_what_is_outside_has_none(detections):
    for line in event_lines(detections["faulty"].events, 0.0, 2.0):
        event = line.event
        assert line.mark.left == pytest.approx(100 * event.start_seconds / 2, abs=0.01)
        assert line.mark.left + line.mark.width == pytest.approx(100 * event.end_seconds / 2, abs=0.02)
    burst = next(event for event in detections["faulty"].events if not event.lasts and event.strength > 0)
    assert event_lines([burst], 1.6, 0.4)[0].mark is None
    page = verdict_page(replace(detections["faulty"], events=[replace(burst, start_seconds=50, end_seconds=51)]))
    assert "outside of the picture" in page and "rm-box" not in page.split("</style>")[1]


def test_strip_holds_references_threshold_and_clip_in_their_order(detections):
    detection = detections["faulty"]
    strip = score_strip(detection)
    assert len(strip.references) == 12 and all(0 < place < 100 for place in strip.references)
    assert strip.threshold < strip.clip < 100
    below = (detection.basis.scores() <= detection.judgement.threshold).sum()
    assert sum(place <= strip.threshold + 0.01 for place in strip.references) == below
    assert score_strip(detections["few"]).threshold is None


def test_chart_of_levels_holds_the_clip_above_the_range_where_the_tone_is(detections):
    chart = level_chart(detections["faulty"])
    spread, clip = (
        np.array([[float(number) for number in point.split(",")] for point in points.split()])
        for points in (chart.spread, chart.clip)
    )
    assert spread.shape == (256, 2) and clip.shape == (128, 2)
    assert ((spread >= 0) & (spread <= 100)).all() and ((clip >= 0) & (clip <= 100)).all()
    above = spread[:128, 1] - clip[:, 1]  # downward is positive
    ticks = {tick.label: tick.place for tick in chart.frequency_ticks}
    assert clip[above.argmax(), 0] == pytest.approx(ticks["1 kHz"], abs=2)


def test_players_hold_the_clip_and_a_reference_at_one_gain(detections):
    detection = detections["faulty"]
    page = verdict_page(detection)
    players = [
        soundfile.read(io.BytesIO(base64.b64decode(one)))[0]
        for one in re.findall(r'src="data:audio/flac;base64,([^"]+)"', page)
    ]
    gains = []
    for player, sound in zip(players, (detection.waveform, detection.healthy), strict=True):
        gains.append(np.abs(player).max() / np.abs(sound).max())
        np.testing.assert_allclose(player, gains[-1] * sound, atol=1e-4)
    assert gains[0] == pytest.approx(gains[1], rel=1e-3) and np.abs(players[0]).max() == pytest.approx(0.9, abs=1e-3)


def test_of_a_long_clip_the_part_around_its_highest_score_is_shown(detections):
    long = replace(detections["normal"], waveform=np.resize(detections["normal"].waveform, 16_000 * 100))
    for start, shown in ((0.0, (0, 30)), (50.0, (40, 70)), (95.0, (70, 100))):
        moved = replace(long, judgement=long.judgement._replace(start_seconds=start))
        assert shown_part(moved) == (shown[0] * 16_000, shown[1] * 16_000)
    assert "This recording, 70.0 to 100.0 s" in text_of(verdict_page(moved))


def test_names_and_messages_are_shown_as_text(detections):
    page = verdict_page(replace(detections["normal"], name="<img src=x onerror=alert(1)>.wav"))
    assert "<img src=x" not in page and "&lt;img src=x" in page
    assert "<b>x</b>" not in error_page("<b>x</b>") and "rm-badge" not in error_page("x").split("</style>")[1]
    assert "rm-badge" not in hint_page().split("</style>")[1]
