"""The official score of DCASE Task 2; this folder is also the source of the metric's Space."""

from modeling_retainmix.metrics.dcase_score.dcase_score import dcase_score

__all__ = ["dcase_score"]
