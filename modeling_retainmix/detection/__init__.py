"""Anomaly detection on the embeddings of a frozen encoder; the parts are usable alone."""

from modeling_retainmix.detection.mem_mixup import mem_mixup
from modeling_retainmix.detection.nearest_search import knn_distance
from modeling_retainmix.detection.normalization import domain_normalized_score
from modeling_retainmix.detection.pooling import pool_tokens

__all__ = ["domain_normalized_score", "knn_distance", "mem_mixup", "pool_tokens"]
