"""Where the files of a checkpoint are looked for."""

import pytest

from modeling_retainmix.conversion.files import find_config, find_folder_or_file, find_weights, read_config


def test_folder_without_weights_is_named(tmp_path):
    (tmp_path / "README.md").write_text("no weights here")
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        find_weights(tmp_path)


def test_folder_with_several_weights_lists_them(tmp_path):
    for name in ("a.pt", "b.pth"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"2 files of weights \(a\.pt, b\.pth\)"):
        find_weights(tmp_path)


def test_nearest_configuration_counts(tmp_path):
    deep = tmp_path / "exp" / "run"
    deep.mkdir(parents=True)
    (tmp_path / "config.yaml").write_text("name: outer")
    weights = deep / "model.pt"
    assert find_config(tmp_path, weights) == {"name": "outer"}
    (deep / "config.yaml").write_text("name: inner")
    assert find_config(tmp_path, weights) == {"name": "inner"}
    assert find_config(tmp_path / "exp" / "run" / "model.pt", weights) == {"name": "inner"}


def test_configuration_that_is_no_mapping_is_named(tmp_path):
    (tmp_path / "config.yaml").write_text("- a list")
    with pytest.raises(ValueError, match=r"config\.yaml holds a list, not a configuration"):
        read_config(tmp_path / "config.yaml")


@pytest.mark.parametrize("name", ["no/such/folder", "nowhere.pt"])
def test_name_that_is_neither_path_nor_repository_is_an_error(name):
    with pytest.raises(FileNotFoundError, match="neither a path here nor a repository"):
        find_folder_or_file(name)


def test_hub_name_without_network_is_an_error_that_says_so():
    with pytest.raises(FileNotFoundError, match="the Hub cannot be reached"):
        find_folder_or_file("retainmix-tests/absent")
