"""Write the embeddings of recordings as {file name: embedding}, for benchmark suites that judge frozen encoders.

python examples/embeddings.py --recordings clips/ --model hub_cards/retainmix-beats-tiny --output embeddings.npz

Suites such as RMIS (arXiv 2507.16696) take nothing of a model but this dictionary:
`dict(numpy.load("embeddings.npz"))` gives it, without pickle. Names are paths below the folder, with forward slashes.
An embedding is what the detector compares: the tokens of a layer, averaged over time for each frequency patch, laid
end to end; of a recording longer than 10 s, the mean over its windows.

Recordings that cannot be read are listed at the end, with exit status 1; the others are written all the same.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.atomic import whole_file
from modeling_retainmix.audio import audio_sources
from modeling_retainmix.audio_files import find_audio_files
from modeling_retainmix.detection.clip_embedding import embed_clips
from modeling_retainmix.detection.vector_layout import Layer


def layer(value: str) -> Layer:
    return int(value) if value.isdigit() else value


def channel(value: str) -> int | str:
    return value if value == "mean" else int(value)


def embed_folder(options: argparse.Namespace) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the embeddings by file name, [dim] float32 each, and why others cannot be read, a sentence each.

    Raises:
        FileNotFoundError, ValueError: no such folder or encoder, or no recording that can be read.
    """
    found = find_audio_files(options.recordings)
    problems = [f"{path} {cause}" for path, cause in found.problems.items()]
    layers = {} if options.layer is None else {"layer": tuple(options.layer)}
    detector = AnomalyDetector.from_pretrained(options.model, batch_size=options.batch_size, **layers)
    sources = audio_sources(found.files, channel=options.channel) if found.files else []
    common = (detector.embedder, sources, detector.settings.windows, detector.batch_size)
    embedded = embed_clips(*common, on_error=lambda error: problems.append(str(error)))
    embeddings = {}
    for index in np.unique(embedded.clip_index).tolist():
        name = Path(found.files[index]).relative_to(options.recordings).as_posix()
        embeddings[name] = embedded.vectors[embedded.clip_index == index].mean(dim=0).numpy()
    if not embeddings:
        raise ValueError("\n".join([f"none of {len(problems)} recordings can be read:", *problems]))
    return embeddings, problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", required=True, help="folder of recordings, of any sampling rate and length")
    parser.add_argument(
        "--model",
        default="log-mel",
        help="encoder: folder, Hub name or original .pt, or log-mel for statistics of the spectrogram; "
        "default: %(default)s",
    )
    parser.add_argument(
        "--layer",
        type=layer,
        nargs="+",
        help="layers to read, laid end to end; default: the one that the encoder names",
    )
    parser.add_argument(
        "--channel", type=channel, help="of recordings with several channels: an index from 0, or 'mean'"
    )
    parser.add_argument("--batch_size", type=int, default=16, help="windows of one forward; default: %(default)s")
    parser.add_argument("--output", default="embeddings.npz", help="file to write; default: %(default)s")
    options = parser.parse_args()
    try:
        embeddings, problems = embed_folder(options)
        Path(options.output).parent.mkdir(parents=True, exist_ok=True)
        with whole_file(options.output) as temporary, temporary.open("wb") as file:
            np.savez(file, **embeddings)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    (width,) = {len(embedding) for embedding in embeddings.values()}
    print(f"{len(embeddings)} embeddings of {width} values are in {options.output}")
    if problems:
        sys.exit("\n".join([f"error: {len(problems)} recordings have none:", *problems]))


if __name__ == "__main__":
    main()
