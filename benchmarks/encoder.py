"""Speed of the BEATs encoder from waveforms to embeddings, beside the package `openbeats` on the same random weights.

    pip install openbeats
    python benchmarks/encoder.py --output benchmarks/encoder.csv

All rows are measured in one run, in turns, and each is given as a share of the rate at which the machine multiplies
matrices in that run. Without `openbeats` its rows are left out, and the output says so. On a GPU: `--device cuda`,
which adds flex attention and the compiled model.
"""

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rows import SAMPLING_RATE, describe, peak_gib, report, synchronise

from modeling_retainmix.conversion.convert import convert_checkpoint
from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsModel

BASE_CFG = {
    "deep_norm": True, "relative_position_embedding": True, "gru_rel_pos": True, "num_buckets": 320,
    "max_distance": 800, "conv_pos": 128, "conv_pos_groups": 16, "dropout": 0.0, "attention_dropout": 0.0,
}  # fmt: skip


def forward_flop(config: BeatsConfig, tokens: int) -> float:
    """Return the floating-point operations of one clip, a multiplication and an addition counted as two."""
    width, layers = config.hidden_size, config.num_hidden_layers
    patches = 2 * tokens * config.patch_embed_size * (config.patch_size**2 + width)
    positions = 2 * tokens * width * (width // config.num_conv_pos_embedding_groups) * config.num_conv_pos_embeddings
    layer = 8 * tokens * width**2 + 4 * tokens * width * config.intermediate_size + 4 * tokens**2 * width
    return patches + positions + layers * layer


def seconds(run: Callable[[], object], device: torch.device) -> float:
    synchronise(device)
    start = time.perf_counter()
    run()
    synchronise(device)
    return time.perf_counter() - start


def matrix_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Measure the FLOP/s of a product of square matrices."""
    size = 2048 if device.type == "cpu" else 8192
    matrix = torch.randn(size, size, device=device, dtype=dtype)
    return 2 * size**3 / min(seconds(lambda: matrix @ matrix, device) for _ in range(5))


def original_checkpoint(folder: Path) -> Path:
    """Write a checkpoint of base size in the original format with random weights, by the package openbeats itself."""
    from openbeats.beats_encoder import BeatsEncoder

    encoder = BeatsEncoder(input_size=0, beats_config=BASE_CFG, is_pretraining=False)
    path = folder / "base.pt"
    torch.save({"cfg": BASE_CFG, "model": encoder.state_dict()}, path)
    return path


def our_models(folder: Path, checkpoint: Path | None) -> BeatsFeatureExtractor:
    """Write the model into `folder / "ours"`: with the weights of the checkpoint, or random ones."""
    if checkpoint is not None:
        convert_checkpoint(checkpoint, folder / "ours")
        return BeatsFeatureExtractor.from_pretrained(folder / "ours")
    BeatsModel(BeatsConfig()).save_pretrained(folder / "ours")
    return BeatsFeatureExtractor()


def our_rows(
    folder: Path, extractor: BeatsFeatureExtractor, waveforms: torch.Tensor, depths: tuple[int, int]
) -> dict[str, tuple[Callable[[], torch.Tensor], BeatsConfig, torch.dtype]]:
    """Return name -> (from waveforms to tokens, configuration, precision)."""
    whole, half = depths
    variants = [
        ("eager", "eager", whole, torch.float32),
        ("sdpa", "sdpa", whole, torch.float32),
        ("sdpa, cut", "sdpa", half, torch.float32),
        ("sdpa, bfloat16", "sdpa", whole, torch.bfloat16),
        ("sdpa, bfloat16, cut", "sdpa", half, torch.bfloat16),
    ]
    if waveforms.is_cuda:
        variants += [
            ("flex", "flex_attention", whole, torch.float32),
            ("flex, bfloat16", "flex_attention", whole, torch.bfloat16),
            ("compiled", "sdpa", whole, torch.float32),
            ("compiled, bfloat16", "sdpa", whole, torch.bfloat16),
        ]
    rows = {}
    for name, attention, depth, dtype in variants:
        model = BeatsModel.from_pretrained(
            folder / "ours", num_hidden_layers=depth, attn_implementation=attention, dtype=dtype
        )
        model.eval().to(waveforms.device)
        config = model.config
        if name.startswith("compiled"):
            model = torch.compile(model)

        def run(model: torch.nn.Module = model) -> torch.Tensor:
            return model(extractor.extract_features(waveforms)).last_hidden_state.float()

        rows[name] = run, config, dtype
    return rows


def openbeats_rows(
    checkpoint: Path, waveforms: torch.Tensor, depths: tuple[int, int]
) -> dict[str, Callable[[], torch.Tensor]]:
    """Return name -> from waveforms to tokens by the package openbeats, in one batch."""
    from openbeats.model import OpenBeats

    lengths = torch.full((len(waveforms),), waveforms.shape[1], device=waveforms.device)
    rows = {}
    for name, max_layer in (("openbeats", None), ("openbeats, max_layer", depths[1])):
        encoder = OpenBeats.from_pretrained(str(checkpoint), device=waveforms.device, max_layer=max_layer).encoder

        def run(encoder: torch.nn.Module = encoder) -> torch.Tensor:
            return encoder(waveforms, lengths, waveform_input=True)[0]

        rows[name] = run
    return rows


@torch.inference_mode()
def measure(args: argparse.Namespace) -> list[dict[str, str]]:
    """Measure all rows of the table."""
    device = torch.device(args.device)
    torch.manual_seed(0)
    waveforms = 0.1 * torch.randn(args.batch_size, round(args.seconds * SAMPLING_RATE), device=device)
    depths = (12, 6)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        has_openbeats = importlib.util.find_spec("openbeats") is not None
        if not has_openbeats:
            print("openbeats is not installed: its rows are left out (pip install openbeats)")
        checkpoint = original_checkpoint(folder) if has_openbeats else None
        extractor = our_models(folder, checkpoint)
        ours = our_rows(folder, extractor, waveforms, depths)
        runs = {name: run for name, (run, _, _) in ours.items()}
        if checkpoint is not None:
            runs |= openbeats_rows(checkpoint, waveforms, depths)
        outputs = {name: run() for name, run in runs.items()}  # also warms up
        rates = {dtype: matrix_rate(dtype, device) for dtype in (torch.float32, torch.bfloat16)}
        best = dict.fromkeys(runs, float("inf"))
        for _ in range(args.repeats):
            for name, run in runs.items():
                best[name] = min(best[name], seconds(run, device) / args.batch_size)
            for dtype in rates:
                rates[dtype] = max(rates[dtype], matrix_rate(dtype, device))
    rows = []
    tokens = outputs["sdpa"].shape[1]
    for name, run_seconds in best.items():
        is_cut = "cut" in name or "max_layer" in name
        _, config, dtype = ours.get(name) or ours["sdpa, cut" if is_cut else "sdpa"]
        flops = forward_flop(config, tokens) / run_seconds
        reference = outputs["sdpa, cut" if is_cut else "sdpa"]
        rival = best.get("openbeats, max_layer" if is_cut else "openbeats")
        rows.append(
            {
                "model": name,
                "layers": str(config.num_hidden_layers),
                "s_per_clip": f"{run_seconds:.4f}",
                "clips_per_s": f"{1 / run_seconds:.2f}",
                "tflops": f"{flops / 1e12:.3f}",
                "share_of_matrix_rate": f"{flops / rates[dtype]:.2f}",
                "speed_of_openbeats": f"{rival / run_seconds:.2f}" if rival else "",
                "largest_deviation_from_sdpa": f"{(outputs[name] - reference).abs().max():.1e}",
                "matrix_tflops": f"{rates[dtype] / 1e12:.3f}",
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch_size", type=int, default=4, help="clips of one forward")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a clip")
    parser.add_argument("--repeats", type=int, default=5, help="rounds over all rows; the fastest of each row counts")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--output", type=Path, help="CSV file to write")
    args = parser.parse_args()
    report(measure(args), args.output)
    print(f"{describe(args.device)}; peak memory, all models loaded: {peak_gib(args.device):.2f} GiB")


if __name__ == "__main__":
    main()
