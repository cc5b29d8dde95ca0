"""The page: whole, self-contained, escaped, bounded, and true to the findings."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile as sf
from reports.conftest import RATE, UGLY, draw_clip

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.detection.recording_health import Finding
from modeling_retainmix.reports import page, write_report
from modeling_retainmix.reports.findings import RecordingFindings

ADDRESSES = {
    "a": "href",
    "img": "src",
    "audio": "src",
    "link": "href",
    "script": "src",
    "source": "src",
    "form": "action",
}
VOID = {"meta", "img", "link", "br", "wbr", "input", "source", "rect", "line", "path"}


class Reader(HTMLParser):
    """Collects elements, addresses, ids and texts of a page, and checks that elements are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.addresses, self.ids, self.open, self.text = [], [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag in ADDRESSES and ADDRESSES[tag] in attributes:
            self.addresses.append(attributes[ADDRESSES[tag]])
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def findings_of(written):
    """Build findings of recordings with one problem each."""

    def build(*problems):
        judgement = written[0].recordings[0].judgement
        recordings = [RecordingFindings(f"{index}.wav", judgement, (one,), None) for index, one in enumerate(problems)]
        return replace(written[0], recordings=tuple(recordings))

    return build


@pytest.fixture(scope="module")
def written(detector, machine, tmp_path_factory):
    output = tmp_path_factory.mktemp("page") / "report.html"
    findings = write_report(detector, machine / "test", output, max_details=3)
    return findings, output.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def reader(written):
    return Reader(written[1])


def test_when_a_page_is_written_then_it_names_nothing_outside_of_itself(written, reader):
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", written[1])
    assert "://" not in text and "//" not in re.sub(r"//.*\n", "", text)
    assert all(address.startswith(("#", "data:")) for address in reader.addresses)
    assert {address[1:] for address in reader.addresses if address.startswith("#")} <= set(reader.ids)
    assert len(set(reader.ids)) == len(reader.ids)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttp", text)


def test_when_a_file_name_holds_markup_then_it_stays_text(written, reader):
    assert "<img src=x" not in written[1] and "&lt;img src=x onerror=alert(1)&gt;" in written[1].replace("<wbr>", "")
    assert UGLY in reader.text
    assert not any("onerror" in attributes for _, attributes in reader.elements)


def test_when_recordings_are_judged_then_the_table_holds_them_in_their_order(written):
    findings, text = written
    table = text[text.index("<tbody>") : text.index("</tbody>")]
    scores = re.findall(r'class="number" data-value="([^"]+)">[^<]*<small', table)
    assert [float(score) for score in scores] == [one.judgement.score for one in findings.recordings]
    assert "2 of 4 recordings are anomalous" in text and "2 of 6 recordings could not be read" in text
    assert "The first 3 of 4 are shown in detail below" in text


def test_when_players_are_embedded_then_they_hold_the_excerpts_at_one_gain(written, reader):
    findings, _ = written
    players = [attributes["src"] for tag, attributes in reader.elements if tag == "audio"]
    assert len(players) == 3
    gains = []
    for player, recording in zip(players, findings.recordings, strict=False):
        samples, rate = sf.read(io.BytesIO(base64.b64decode(player.split(",")[1])))
        assert rate == RATE and len(samples) == len(recording.detail.recorded)
        gain = np.abs(samples).max() / np.abs(recording.detail.recorded).max()
        np.testing.assert_allclose(samples, gain * recording.detail.recorded, atol=2e-4)
        gains.append(gain)
    assert np.ptp(gains) < 1e-2 * gains[0]
    peak = max(np.abs(recording.detail.recorded).max() * gains[0] for recording in findings.recordings[:3])
    assert peak == pytest.approx(0.9, rel=0.01)


def test_when_pictures_are_embedded_then_each_has_a_text_its_boxes_and_the_sentences_of_its_events(written, reader):
    findings, _ = written
    pictures = [attributes for tag, attributes in reader.elements if tag == "img"]
    assert len(pictures) == 3
    for picture, recording in zip(pictures, findings.recordings, strict=False):
        assert picture["alt"].startswith(f"Log-mel spectrogram of {recording.name}")
        assert base64.b64decode(picture["src"].split(",")[1]).startswith(b"\x89PNG")
        assert all(event.sentence in reader.text for event in recording.detail.events[:10])
    boxes = [attributes for tag, attributes in reader.elements if attributes.get("class", "").startswith("box")]
    assert len(boxes) == sum(min(len(one.detail.events), 10) for one in findings.recordings[:3]) > 0


def test_when_a_page_is_read_by_its_structure_then_tables_have_headings_and_figures_texts(reader):
    headings = [attributes.get("scope") for tag, attributes in reader.elements if tag == "th"]
    assert headings and set(headings) == {"col", "row"}
    drawings = [attributes for tag, attributes in reader.elements if tag == "svg" and "role" in attributes]
    assert re.search("highest bar upward is [0-9]+ reference scores?, downward [0-9]+ recording", reader.text)
    assert all("aria-label" in drawing or "aria-labelledby" in drawing for drawing in drawings) and len(drawings) == 4
    assert dict(reader.elements)["html"] == {"lang": "en"}


def test_when_warnings_and_limits_are_told_then_they_and_the_settings_are_on_the_page(written, reader):
    findings, _ = written
    for recording in findings.recordings:
        assert all(problem.sentence in reader.text for problem in recording.problems)
    for message in findings.unreadable:
        assert message in reader.text
    for part in ("What these numbers cannot say", "Name sessions", "whitened"):
        assert part in reader.text


def test_when_recordings_have_a_problem_in_unlike_measure_then_one_heading_has_the_advice(detector, tmp_path):
    for index, rate in enumerate((4000, 6000, 8000)):
        sf.write(tmp_path / f"{index}.wav", draw_clip(index)[:: RATE // rate], rate)
    findings = write_report(detector, tmp_path, tmp_path / "page.html", max_details=0)
    found = {problem.heading.split(":")[0]: problem for problem in page._by_problem(findings)}
    assert [heading for heading in found if heading.startswith("Bandwidth")] == ["Bandwidth"]
    assert "max_frequency=1700" in found["Bandwidth"].heading
    facts = dict(found["Sampling rate"].cases)
    assert facts["2.wav"] == "Sampling rate 8000 Hz, references 16000 Hz" and len(facts) == 3
    text = Reader((tmp_path / "page.html").read_text(encoding="utf-8")).text
    assert text.count("Bandwidth: to compare what all hold") == 1
    assert "0.wav: Sampling rate 4000 Hz, references 16000 Hz" in text


def test_when_recordings_have_one_problem_in_common_then_it_is_said_once(findings_of):
    same = Finding("level", -50.0, True, "Level -50 dB, references -20 dB", "record all with one gain")
    (problem,) = page._by_problem(findings_of(same, same))
    assert problem == ("Level -50 dB, references -20 dB: record all with one gain", [("0.wav", ""), ("1.wav", "")])


def test_when_there_is_one_reference_then_the_page_has_a_ranking_and_says_how_many_are_missing(machine, tmp_path):
    detector = AnomalyDetector.from_pretrained("log-mel", backend="whitened", normalization="none", device="cpu")
    write_report(detector.fit(machine / "train" / "00.wav"), machine / "test" / "faulty_0.wav", tmp_path / "page.html")
    reader = Reader((tmp_path / "page.html").read_text())
    assert "No verdict: 8 more recordings of the healthy machine are needed" in reader.text
    assert {attributes["class"] for _, attributes in reader.elements if "badge" in attributes.get("class", "")} == {
        "badge open"
    }
    assert not any(attributes.get("class") == "threshold" for _, attributes in reader.elements)


def test_when_sound_is_as_long_and_loud_as_can_be_then_a_detail_stays_below_its_bound():
    generator = np.random.default_rng(0)
    noise = generator.uniform(-1, 1, 10 * RATE).astype(np.float32)
    detail = page.Detail(3600.0, 0.0, noise, noise, ())
    levels = generator.uniform(-70, 0, (1000, 128))
    media = page._media(detail, levels, (-70, 0), 1.0)
    assert len(media.player) + len(media.picture) < 0.55e6


def test_when_the_output_cannot_be_written_then_no_recording_is_read(detector, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "collect_findings", lambda *_: pytest.fail("a recording was read"))
    with pytest.raises(ValueError, match=r"is a folder: give the name of a file, such as .*report\.html"):
        write_report(detector, "anything", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"page\.html cannot be written"):
        write_report(detector, "anything", tmp_path / "file" / "page.html")


def test_when_writing_fails_then_an_earlier_page_stays_and_nothing_is_left(detector, machine, tmp_path):
    (tmp_path / "page.html").write_text("earlier")
    with pytest.raises(ValueError, match="no recording can be read"):
        write_report(detector, machine / "test" / "silent.wav", tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert (tmp_path / "page.html").read_text() == "earlier"
