"""Converts an OpenBEATs checkpoint from the Hub and applies it to a recording.

python examples/convert_openbeats.py recording.wav --output_dir openbeats-base-i3

The folder then serves as `--model` of `retainmix fit`. A fine-tuned checkpoint, such as
`--checkpoint espnet/OpenBEATS-Large-i2-as20k`, also names what it hears.
"""

import argparse
import sys

import torch

from modeling_retainmix import convert_checkpoint
from modeling_retainmix.audio import read_audio
from modeling_retainmix.encoders import BeatsFeatureExtractor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", help="WAV or FLAC file")
    parser.add_argument("--checkpoint", default="shikhar7ssu/OpenBEATs-Base-i3", help="Hub name, folder or file")
    parser.add_argument(
        "--base", help="of a fine-tuned checkpoint whose name does not tell its base: Hub name or file"
    )
    parser.add_argument("--output_dir", required=True, help="folder to write; AutoModel and AnomalyDetector load it")
    options = parser.parse_args()
    try:
        model = convert_checkpoint(options.checkpoint, options.output_dir, base=options.base)
        waveform = read_audio(options.recording)
        inputs = BeatsFeatureExtractor.from_pretrained(options.output_dir)(waveform, sampling_rate=16_000)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
    with torch.inference_mode():
        outputs = model(**inputs)
    print(f"{outputs.last_hidden_state.shape[1]} tokens of width {outputs.last_hidden_state.shape[2]}")
    if hasattr(model, "classifier"):
        single = model.config.problem_type == "single_label_classification"
        scores = outputs.logits[0].softmax(dim=0) if single else outputs.logits[0].sigmoid()
        for score, index in zip(*scores.topk(min(3, len(scores))), strict=True):
            print(f"{score:.3f}  {model.config.id2label[int(index)]}")


if __name__ == "__main__":
    main()
