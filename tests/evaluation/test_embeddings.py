"""Embeddings of benchmark clips: which waveforms an embedder gets to hear."""

import torch

from modeling_retainmix.evaluation.embeddings import embed_mixtures, embed_oracle


def identity(waveforms):
    return {"wave": waveforms, "power": waveforms.square().mean(dim=1, keepdim=True)}


def clean_and_noise(machine, kind):
    parts = [(clean, noise) for _, clean, noise in machine.batches(kind, 100)]
    return torch.cat([clean for clean, _ in parts]), torch.cat([noise for _, noise in parts])


def test_when_mixtures_are_embedded_then_noise_is_scaled_to_the_snr(tiny_benchmark, tiny_protocol):
    machine = tiny_benchmark[0]
    cells = embed_mixtures(machine, tiny_protocol, identity, batch_size=7)["wave"]
    assert set(cells) == {(kind, snr) for kind in ("stationary", "non_stationary") for snr in (-10, 0)}
    for (kind, snr_db), waveforms in cells.items():
        clean, noise = clean_and_noise(machine, kind)
        assert torch.allclose(waveforms, clean + machine.gain(kind, snr_db) * noise)


def test_when_batch_size_differs_then_embeddings_are_equal(tiny_benchmark, tiny_protocol):
    found = [embed_mixtures(tiny_benchmark[0], tiny_protocol, identity, batch_size=size) for size in (3, 64)]
    for key in ("wave", "power"):
        for cell, values in found[0][key].items():
            assert torch.equal(values, found[1][key][cell])


def test_when_oracle_is_embedded_then_it_is_the_average_of_clean_and_scaled_noise(tiny_benchmark, tiny_protocol):
    machine = tiny_benchmark[1]
    cells = embed_oracle(machine, tiny_protocol, identity, lam=0.5, batch_size=7)["power"]
    for (kind, snr_db), values in cells.items():
        clean, noise = clean_and_noise(machine, kind)
        scaled = machine.gain(kind, snr_db) * noise
        expected = 0.5 * clean.square().mean(1, keepdim=True) + 0.5 * scaled.square().mean(1, keepdim=True)
        assert torch.allclose(values, expected)
