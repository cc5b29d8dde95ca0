"""The encoder that comes with the package is found by its bare name."""

import pytest

from modeling_retainmix import AnomalyDetector, shipped
from modeling_retainmix.conversion.encoders_by_name import loadable_name
from modeling_retainmix.shipped import SHIPPED, shipped_folder
from retainmix_cli.options import DEFAULT_MODEL


def test_bare_name_is_the_encoder_of_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert loadable_name(SHIPPED) == str(shipped_folder())
    named = AnomalyDetector.from_pretrained(SHIPPED, device="cpu").embedder
    by_folder = AnomalyDetector.from_pretrained(shipped_folder(), device="cpu").embedder
    assert named.layers == by_folder.layers
    weights = by_folder.model.state_dict()
    assert all(values.equal(weights[name]) for name, values in named.model.state_dict().items())


def test_the_command_line_names_the_same_one():
    assert DEFAULT_MODEL == SHIPPED


def test_an_installed_package_reads_what_lies_in_it_before_a_checkout(tmp_path, monkeypatch):
    places = [tmp_path / name for name in ("package", "checkout")]
    monkeypatch.setattr(shipped, "_PLACES", places)
    with pytest.raises(FileNotFoundError, match=f"lacks its encoder, {places[0]}: install retainmix again"):
        shipped_folder()
    for place in reversed(places):
        place.mkdir()
        (place / "config.json").touch()
        assert shipped_folder() == place
