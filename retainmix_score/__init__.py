"""Score and judge recordings with an exported detector: numpy, soundfile, soxr and onnxruntime, without torch.

    from retainmix_score import Scorer

    scorer = Scorer("exported")  # written by AnomalyDetector.export_onnx
    scores, alarms = scorer.score("pump.flac"), scorer.decide("pump.flac")

The folder of this file is complete: copy it to where it is needed.
"""

from retainmix_score.scorer import Scorer

__all__ = ["Scorer"]
