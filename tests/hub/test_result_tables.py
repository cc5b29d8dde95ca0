"""Tables and sentences of a run hold its numbers, and nothing in a name leaves its cell."""

import pytest

from modeling_retainmix.evaluation import compared_systems
from modeling_retainmix.hub import result_tables
from modeling_retainmix.hub.result_tables import machine_table, markdown_table, protocol_sentence, row_of


def test_rows_are_found_by_key_whatever_their_labels_are(results):
    for row in results["rows"]:
        row["name"] = "RetainMix"
    assert row_of(results, "trained")["hmean_low"] == 65.25
    with pytest.raises(ValueError, match="not 'random_weights': evaluate again"):
        row_of(results, "random_weights")


def test_keys_of_the_cards_are_keys_of_compared_systems():
    assert result_tables.TRAINED_MODEL == compared_systems.TRAINED_MODEL
    assert result_tables.TEACHER_AT_SAME_LAYER == compared_systems.FROZEN_SAME


def test_when_names_hold_markup_then_tables_and_sentence_show_it_as_text(results):
    row = results["rows"][1]
    row["name"] = "<b>a|b</b>\n# c"
    assert (
        markdown_table(results["rows"], results["protocol"]).splitlines()[3].startswith("| &lt;b>a\\|b&lt;/b> # c |")
    )
    row["per_machine"] = {
        "<i>": {snr: {"`x`": {"official_score": 50.0}} for snr in row["per_machine"]["Mismatch"]},
    }
    assert machine_table(row, results["protocol"]).splitlines()[2].startswith("| &lt;i> | \\`x\\` |")
    results["protocol"] |= {"name": "a`\n# b", "clips": {"pump": {"<script>": 3}}}
    sentence = protocol_sentence(results["protocol"])
    assert "protocol `` a` # b ``, clips" in sentence and "3 &lt;script>;" in sentence


def test_table_has_a_row_per_system_and_a_column_per_cell(results):
    lines = markdown_table(results["rows"], results["protocol"]).splitlines()
    assert lines[0].startswith("| System | Layer | Factory A -10 dB | Factory A 0 dB |")
    assert lines[0].endswith("| Mismatch 10 dB | Hmean {-10, 0} | All |")
    assert [line.count("|") for line in lines] == [14] * 6
    assert lines[3].startswith("| RetainMix | 2 | 61.2 | 66.2 | 73.2 | 63.2 |")
    assert lines[3].endswith("| 65.2 | 68.2 |")
    assert lines[2].startswith("| Log-mel mean | - |")


def test_machine_table_has_a_row_per_subset_and_machine_type(results):
    lines = machine_table(row_of(results, "trained"), results["protocol"]).splitlines()
    assert len(lines) == 2 + 3 * 2
    assert lines[2] == "| Factory A | pump | 60.2 | 65.2 | 72.2 |"


def test_protocol_sentence_tells_unequal_clip_counts_and_reused_noise(results):
    sentence = protocol_sentence(results["protocol"])
    assert "2 machine types" in sentence and "110 references, 76 to 80 tests" in sentence
    assert "no noise segment used twice" in sentence
    results["protocol"]["noise_segments_reused"] = 12
    assert "12 noise segments used more than once" in protocol_sentence(results["protocol"])


@pytest.mark.parametrize(
    ("rules", "score"),
    [(2020, "arithmetic mean of AUC and pAUC"), (2021, "harmonic mean of AUC and pAUC of each domain")],
)
def test_protocol_sentence_tells_the_score_of_earlier_years_and_counts_sections(results, rules, score):
    protocol = results["protocol"]
    counts = next(iter(protocol["clips"].values()))
    sentence = protocol_sentence(protocol | {"rules": rules, "clips": {"fan/00": counts, "fan/02": counts}})
    assert f"({score} over 2 sections)" in sentence and "per section 110 references" in sentence
