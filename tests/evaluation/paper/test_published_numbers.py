"""The transcription against itself: printed means follow from printed cells, tables agree where they overlap."""

import pytest
from scipy.stats import hmean

from modeling_retainmix.data.benchmark import SUBSETS
from modeling_retainmix.evaluation.paper import published_numbers as paper


@pytest.mark.parametrize("row", paper.HMEAN_ALL)
def test_when_cells_of_table_2_are_averaged_then_the_printed_means_come_out(row):
    for snrs, printed in ((paper.LOW_SNR_DB, paper.HMEAN_LOW), (paper.SNR_DB, paper.HMEAN_ALL)):
        mean = hmean([paper.CELLS[row, subset, snr_db] for subset in SUBSETS for snr_db in snrs])
        assert mean == pytest.approx(printed[row], abs=0.11)


@pytest.mark.parametrize("row", paper.HMEAN_MISMATCH)
def test_when_mismatch_cells_are_averaged_then_the_means_of_tables_4_and_5_come_out(row):
    mean = hmean([paper.CELLS[row, "Mismatch", snr_db] for snr_db in paper.SNR_DB])
    assert mean == pytest.approx(paper.HMEAN_MISMATCH[row], abs=0.11)


@pytest.mark.parametrize("row", paper.HMEAN_TABLE_3)
def test_when_machine_types_of_table_3_are_averaged_then_the_printed_mean_comes_out(row):
    mean = hmean([paper.TABLE_3[row, machine] for machine in paper.TABLE_3_MACHINES])
    assert mean == pytest.approx(paper.HMEAN_TABLE_3[row], abs=0.11)


def test_when_a_row_stands_in_two_tables_then_its_cells_agree():
    for row, (values, _) in paper._MISMATCH.items():
        if row in paper.HMEAN_ALL:
            assert tuple(paper.CELLS[row, "Mismatch", snr_db] for snr_db in paper.SNR_DB) == values
