"""`pipeline("anomaly-detection", model=..., trust_remote_code=True)` of this repository, by the package retainmix.

The file holds no code of its own, so that a detector is judged by the version that is installed.
"""

try:
    from modeling_retainmix.anomaly_pipeline import AnomalyDetectionPipeline
except ImportError as error:
    raise ImportError(
        "the pipeline anomaly-detection needs the package retainmix, which is not installed here: run "
        "`pip install retainmix`, or `pip install .` in a checkout of it"
    ) from error

__all__ = ["AnomalyDetectionPipeline"]
