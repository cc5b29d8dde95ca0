"""How often odd references are named: on hums, one of which is spoiled."""

import numpy as np
import pytest
import soundfile as sf

from modeling_retainmix.evaluation.studies import odd_references
from modeling_retainmix.evaluation.studies.odd_references import main, spoil

RATE = 16000


@pytest.fixture
def machines(tmp_path):
    """A folder with one machine: twelve healthy hums and a faulty one, a second each."""
    generator, time = np.random.default_rng(0), np.arange(RATE) / RATE
    for index in range(13):
        part, kind = ("train", "normal") if index < 12 else ("test", "anomaly")
        clip = 0.2 * np.sin(2 * np.pi * (120 + index) * time) + generator.normal(0, 0.02, RATE)
        path = tmp_path / "pump" / part / f"section_00_source_{part}_{kind}_{index:04d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, clip, RATE)
    return tmp_path


def test_spoiled_clips_are_what_they_are_called():
    clip = 0.1 * np.sin(np.arange(RATE))
    generator = np.random.default_rng(0)
    half, rate = spoil(clip, RATE, "low_rate", generator)
    assert (len(half), rate) == (RATE // 2, RATE // 2)
    noise, _ = spoil(clip, RATE, "noise", generator)
    assert noise.std() == pytest.approx(clip.std(), rel=0.05)
    clipped, _ = spoil(clip, RATE, "clipped", generator)
    assert np.mean(np.abs(clipped) == 1) > 0.9


def test_command_counts_what_is_named(machines, capsys, monkeypatch):
    monkeypatch.setattr(odd_references, "SIZES", (10, 13))
    main([str(machines), "--model", "log-mel", "--num_draws", "2"])
    sentence, _, _, _, *rows = capsys.readouterr().out.splitlines()
    assert sentence.startswith("1 machine, 10, 13 references, log-mel, whitened.")
    counts = {cells[1].strip(): [int(cell) for cell in cells[2:5]] for cells in (row.split("|") for row in rows)}
    assert counts["none"] == [2, 0, 0]
    assert counts["one of white noise, as loud"] == [2, 2, 0]
    assert len(counts) == 5 and all(count[0] == 2 and count[2] == 0 for count in counts.values())
