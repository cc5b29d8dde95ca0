"""The trend page: one file, every number from the rows, bounded in size."""

import re
from html.parser import HTMLParser

import pytest

from modeling_retainmix.watching.recording import Judgement, Recording
from modeling_retainmix.watching.trend import write_trend

NOW = 2_000_000_000.0


def row(number, score=1.0, threshold=5.0, **others):
    judgement = Judgement(score, 1, threshold, 2.0, 0.1, "d3adbeef")
    decided = others.pop("decided", NOW - 1000 + number)
    return Recording(f"c{number}", f"rec_{number}.wav", decided, decided, judgement, number=number, **others)


@pytest.fixture
def page(tmp_path):
    def write(recordings, **options):
        write_trend(tmp_path / "trend.html", recordings, "pump <7>", NOW, **options)
        text = (tmp_path / "trend.html").read_text(encoding="utf-8")
        HTMLParser().feed(text)
        return text

    return write


def test_the_page_shows_verdicts_threshold_alarm_and_waiting_messages(page):
    rows = [
        row(1),
        row(2, 9.0, alarm="raised"),
        row(3, 99.0, alarm="on"),
        row(4, 8.0, alarm="cleared", confirmed="rec_4-c4.wav"),
        Recording("c5", "rec_5.wav", NOW, NOW, None, "is cut <here>", number=5),
    ]
    text = page(rows, num_waiting=3)
    assert "pump &lt;7&gt;" in text and "is cut &lt;here&gt;" in text and "<here>" not in text
    for count, word in ((2, "normal"), (2, "anomalous"), (1, "could not be read"), (3, "messages not delivered")):
        assert f"<b>{count}</b> {word}" in text
    assert text.count('class="confirmed"') == 1 and text.count('class="anomalous" ') == 2
    assert text.count('class="alarm"') == 1 and "No alarm" in text and text.count('class="unreadable"') == 1
    assert "10 % of false alarms, detector d3adbeef" in text and "Too early to tell" in text
    assert "alarm raised" in text and "normal, confirmed" in text
    assert page([row(1, 9.0, alarm="raised")]).count("Alarm</span>") == 1


def test_the_page_needs_no_other_file(page):
    text = page([row(1), row(2, 9.0)])
    assert not re.search(r"https?://|<script|<link|<img|@import|url\(", text)


def test_when_a_threshold_changes_then_the_line_has_a_step(page):
    (line,) = re.findall(
        r'class="threshold" d="(.*?)"', page([row(1), row(2), row(3, threshold=4.0), row(4, threshold=4.0)])
    )
    assert re.fullmatch(r"M0\.0 [\d.]+H600\.0V[\d.]+H900\.0", line)


def test_when_recordings_are_older_than_the_days_then_they_are_left_out(page):
    text = page([row(1, decided=NOW - 3 * 86400), row(2)], days=2)
    assert "rec_2.wav" in text and "rec_1.wav" not in text


def test_when_there_are_many_then_columns_are_drawn_and_the_page_stays_small(page):
    rows = [row(n, 1.0 + n % 7 / 10 if n % 500 else 9.0 + n / 1000) for n in range(1, 6001)]
    text = page(rows)
    assert len(text) < 100_000 and "rec_6000.wav" in text
    assert text.count('class="anomalous" ') == 12 and text.count('<path class="normal"') == 300


def test_when_nothing_could_be_read_or_came_then_the_page_says_so(page):
    assert "No recording could be read yet" in page([])
    assert "No recording could be read yet" in page([Recording("c", "a.wav", NOW, NOW, None, "is cut")])
