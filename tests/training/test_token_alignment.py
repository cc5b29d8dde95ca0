"""The mixture loss under its options, against a loop over clips."""

import pytest
import torch
from tiny_training import make_arguments

from modeling_retainmix.encoders import BeatsConfig, EatConfig
from modeling_retainmix.training.separation_heads import SeparationHeads
from modeling_retainmix.training.token_alignment import TokenAlignment

SNR_DB = [-6.0, 0.0, 9.0]


def draw(config, seed=0):
    generator = torch.Generator().manual_seed(seed)
    tokens = config.num_prefix_tokens + 5 * config.num_mel_patches
    return torch.randn(3, 3, tokens, 6, generator=generator).double().unbind()


def naive(args, config, student, machine, noise, heads):
    """Losses of each clip, token by token and band by band: of the tokens, and of their means over time."""
    of_tokens, of_means = [], []
    for clip, snr_db in enumerate(SNR_DB):
        lam = args.lam
        if args.lam_from_snr:
            amplitudes = lam * 10 ** (snr_db / 20), 1 - lam
            lam = amplitudes[0] / sum(amplitudes)

        def error(mine, theirs, noises, lam=lam):
            if heads is None:
                return (mine - lam * theirs - (1 - lam) * noises).square().mean()
            from_machine = mine @ heads.machine.weight.T + heads.machine.bias
            from_noise = mine @ heads.noise.weight.T + heads.noise.bias
            return lam * (from_machine - theirs).square().mean() + (1 - lam) * (from_noise - noises).square().mean()

        parts = student[clip], machine[clip], noise[clip]
        of_tokens.append(error(*parts))
        bands, first = config.num_mel_patches, config.num_prefix_tokens
        of_bands = [error(*(part[first + band :: bands].mean(dim=0) for part in parts)) for band in range(bands)]
        of_means.append(torch.stack(of_bands).mean())
    return torch.stack(of_tokens), torch.stack(of_means)


@pytest.mark.parametrize("config", [BeatsConfig(), EatConfig()], ids=["BEATs", "EAT"])
@pytest.mark.parametrize("with_heads", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"pooled_weight": 3.0}, {"lam_from_snr": True, "lam": 0.4, "pooled_weight": 1.0}]
)
def test_when_tokens_are_compared_then_losses_are_those_of_a_loop_over_clips(tmp_path, config, with_heads, options):
    args = make_arguments(tmp_path, separate_heads=with_heads, **options)
    heads = None
    if with_heads:
        heads = SeparationHeads(6).double()
        for weight in heads.parameters():
            torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(len(weight.shape)))
    align, snr_db = TokenAlignment(args, config), torch.tensor(SNR_DB).double()
    parts = draw(config)
    of_tokens, of_means = naive(args, config, *parts, heads)
    expected = {"loss_mixture": of_tokens} | ({"loss_pooled": of_means} if args.pooled_weight else {})
    per_clip, losses = (align(*parts, snr_db, heads, per_clip=apart) for apart in (True, False))
    assert per_clip.keys() == losses.keys() == expected.keys()
    for name, values in expected.items():
        assert torch.allclose(per_clip[name].double(), values, atol=1e-5), name
        assert losses[name].item() == pytest.approx(values.mean().item(), abs=1e-5)
    total = of_tokens.mean() + args.pooled_weight * of_means.mean()
    assert align.total(losses).item() == pytest.approx(total.item(), abs=1e-5)
