"""How does a detector run without torch? One ONNX file from waveform to score, and a JSON file beside it."""
