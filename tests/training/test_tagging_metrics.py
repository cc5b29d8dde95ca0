"""Macro average precision by hand."""

import numpy as np
import pytest

from modeling_retainmix.training.tagging_metrics import macro_average_precision


def test_when_classes_are_ranked_then_value_is_the_mean_of_their_average_precisions():
    # class 0: its clips rank first and third: (1/1 + 2/3) / 2 = 5/6; class 1: ranks second: 1/2; class 2 never occurs
    scores = np.array([[0.9, 0.1, 0.5], [0.8, 0.2, 0.5], [0.7, 0.3, 0.5]])
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]])
    assert macro_average_precision(scores, labels) == pytest.approx((5 / 6 + 1 / 2) / 2)


def test_when_no_class_occurs_then_error_says_so():
    with pytest.raises(ValueError, match="2 classes occurs in the 3 clips"):
        macro_average_precision(np.zeros((3, 2)), np.zeros((3, 2)))
