"""Original checkpoints under their own names: converted once into the cache, loaded from there ever after."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_server import HubServer
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.conversion import encoders_by_name
from modeling_retainmix.conversion.encoders_by_name import loadable_name
from modeling_retainmix.encoders import BeatsConfig, BeatsModel
from modeling_retainmix.pretrained import load_pretrained

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
CHECKPOINTS = {
    "beats": (GOLDEN / "beats" / "beats_pretrain.pt", "retainmix_beats"),
    "openbeats": (GOLDEN / "openbeats" / "openbeats_base_tiny.pt", "retainmix_beats"),
    "eat": (GOLDEN / "eat" / "eat_tiny_fairseq.pt", "retainmix_eat"),
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of the conversions of this test."""
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "retainmix" / "encoders"


def with_another_weight(source: Path, target: Path) -> Path:
    checkpoint = torch.load(source, weights_only=True)
    checkpoint["model"]["layer_norm.bias"] += 1
    torch.save(checkpoint, target)
    return target


def output_of(name: str, features: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return load_pretrained(BeatsModel, name)(features).last_hidden_state


@pytest.mark.parametrize("family", CHECKPOINTS)
def test_when_an_original_file_is_named_then_the_detector_scores_with_it(family, cache, capsys):
    checkpoint, model_type = CHECKPOINTS[family]
    generator = np.random.default_rng(0)
    clips = generator.normal(0, 0.1, (4, 16000))
    detector = AnomalyDetector.from_pretrained(checkpoint, device="cpu", backend="knn").fit(clips[:3], 16000)
    assert np.isfinite(detector.score(clips[3:], 16000)).all()
    assert detector.embedder.model.config.model_type == model_type
    (folder,) = cache.iterdir()
    said = capsys.readouterr().err
    assert said.startswith(f"converting {checkpoint} ({checkpoint.name}, ") and " MB), once\n" in said
    assert f"\n{checkpoint} -> {folder}: " in said


def test_when_it_was_converted_then_it_is_loaded_from_the_cache(cache, capsys, monkeypatch):
    checkpoint, _ = CHECKPOINTS["beats"]
    folder = loadable_name(checkpoint)
    capsys.readouterr()
    monkeypatch.setattr(encoders_by_name, "read_original", None)  # a second conversion would fail
    assert loadable_name(checkpoint) == loadable_name(str(checkpoint)) == folder
    assert capsys.readouterr().err == ""
    assert loadable_name(folder) == folder  # what was converted is a model like any other


def test_when_the_file_has_changed_then_it_is_converted_again(cache, tmp_path):
    path = tmp_path / "encoder.pt"
    golden = load_file(GOLDEN / "beats" / "beats_pretrain_expected.safetensors")
    features = next(value for name, value in golden.items() if value.ndim == 3 and value.shape[2] == 128)
    shutil.copy(CHECKPOINTS["beats"][0], path)
    first = loadable_name(path)
    before = output_of(first, features)
    with_another_weight(path, path)
    second = loadable_name(path)
    assert second != first
    assert not torch.allclose(output_of(second, features), before)
    shutil.copy(CHECKPOINTS["beats"][0], path)
    assert loadable_name(path) == first
    torch.testing.assert_close(output_of(first, features), before, atol=0, rtol=0)


def test_when_the_configuration_beside_the_file_has_changed_then_it_is_converted_again(cache, tmp_path):
    shutil.copy(CHECKPOINTS["eat"][0], tmp_path / "encoder.pt")
    first = loadable_name(tmp_path / "encoder.pt")
    (tmp_path / "config.yaml").write_text("img_size: [1024, 128]")
    assert loadable_name(tmp_path / "encoder.pt") != first


def test_when_the_conversion_ends_early_then_nothing_is_left_and_the_next_one_is_whole(cache, monkeypatch):
    checkpoint, _ = CHECKPOINTS["beats"]
    save = BeatsModel.save_pretrained

    def interrupt(model: BeatsModel, folder: Path) -> None:
        save(model, folder)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(BeatsModel, "save_pretrained", interrupt)
        loadable_name(checkpoint)
    assert list(cache.iterdir()) == []
    assert (Path(loadable_name(checkpoint)) / "preprocessor_config.json").is_file()


def test_when_two_convert_at_once_then_both_get_one_whole_folder(cache, monkeypatch):
    checkpoint, _ = CHECKPOINTS["beats"]
    meeting = threading.Barrier(2, timeout=60)
    read = encoders_by_name.read_original

    def read_together(*arguments: object) -> object:
        result = read(*arguments)
        meeting.wait()  # both have seen that nothing is there yet
        return result

    monkeypatch.setattr(encoders_by_name, "read_original", read_together)
    names: list[str] = []
    threads = [threading.Thread(target=lambda: names.append(loadable_name(checkpoint))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 2 and len(set(names)) == 1
    assert [str(path) for path in cache.iterdir()] == names[:1]
    load_pretrained(BeatsModel, names[0])


def test_when_the_name_is_that_of_a_model_then_it_stays_as_it_is(cache, tmp_path):
    BeatsConfig().save_pretrained(tmp_path / "model")
    for name in (str(tmp_path / "model"), f"{tmp_path}/model/"):
        assert loadable_name(name) == name
    assert not cache.exists()


def test_when_the_authors_put_a_configuration_of_theirs_beside_the_weights_then_the_folder_is_converted(
    cache, tmp_path
):
    golden = load_file(GOLDEN / "eat" / "eat_tiny.safetensors")
    published = {  # as the Hub versions of EAT and SSLAM name them
        "model." + name.removeprefix("modality_encoders.IMAGE.").replace("context_encoder.norm", "pre_norm"): value
        for name, value in golden.items()
        if not name.startswith("golden.") and ".decoder." not in name
    }
    config = json.loads((GOLDEN / "eat" / "eat_tiny.json").read_text())["config"]
    save_file(published, tmp_path / "model.safetensors")
    content = {"model_type": "eat", "num_heads": config["num_heads"], "img_size": [config["target_length"], 128]}
    (tmp_path / "config.json").write_text(json.dumps(content))
    with torch.no_grad():
        model = AnomalyDetector.from_pretrained(tmp_path, device="cpu", backend="knn").embedder.model
        output = model(golden["golden.fbank_norm"][:, 0]).last_hidden_state
    torch.testing.assert_close(output, golden["golden.output_all"], atol=1e-4, rtol=0)


def test_when_there_is_no_such_file_then_error_names_it(cache):
    with pytest.raises(FileNotFoundError, match=r"^outputs/nowhere\.pt does not exist: check the path"):
        AnomalyDetector.from_pretrained("outputs/nowhere.pt")


def test_when_the_file_is_no_checkpoint_then_error_names_it_and_nothing_is_left(cache, tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt is not a checkpoint of BEATs, OpenBEATs, EAT or SSLAM"):
        AnomalyDetector.from_pretrained(tmp_path / "other.pt")
    assert not cache.exists()


LOAD = """
import json, sys, torch
from safetensors.torch import load_file, save_file
from modeling_retainmix import AnomalyDetector
wanted, golden, output = json.loads(sys.argv[1]), *sys.argv[2:]
features, tokens = load_file(golden)["fbank_normalized"], {}
for index, (name, revision) in enumerate(wanted):
    try:
        detector = AnomalyDetector.from_pretrained(name, revision=revision, device="cpu", backend="knn")
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
    else:
        with torch.no_grad():
            tokens[str(index)] = detector.embedder.model(features).last_hidden_state
save_file(tokens, output)
"""
BASE, TUNED = "shikhar7ssu/OpenBEATs-Base-i1", "espnet/OpenBEATS-Base-i1-as20k"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Repositories in the published layout, their files deep inside: two revisions of a base, and a fine-tuned one."""
    base, tuned = tmp_path_factory.mktemp("base"), tmp_path_factory.mktemp("tuned")
    (base / "work" / "exp").mkdir(parents=True)
    weights = base / "work" / "exp" / "epoch_latest.pt"
    shutil.copy(GOLDEN / "openbeats" / "openbeats_base_tiny.pt", weights)
    shutil.copy(GOLDEN / "openbeats" / "base_config.yaml", base / "work" / "exp" / "config.yaml")
    (base / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# OpenBEATs\n")
    (tuned / "exp").mkdir()
    shutil.copy(GOLDEN / "openbeats" / "openbeats_finetune_tiny.pth", tuned / "exp" / "valid.acc.best.pth")
    shutil.copy(GOLDEN / "openbeats" / "config.yaml", tuned / "exp" / "config.yaml")
    empty = tmp_path_factory.mktemp("empty")
    (empty / "README.md").write_text("nothing yet")
    with HubServer() as server:
        repository = server.add_repository(BASE, base)
        with_another_weight(weights, weights)
        files = {**repository.commits[0].files, "work/exp/epoch_latest.pt": weights.read_bytes()}
        repository.add("train longer", files)
        server.add_repository(TUNED, tuned)
        server.add_repository("acme/empty", empty)
        yield server


def run(
    hub: HubServer, folder: Path, *wanted: tuple[str, str | None], golden: str = "base", **environment: str
) -> tuple[str, dict[str, torch.Tensor]]:
    """What a fresh process says, and the tokens of the golden features by each encoder that it could load."""
    features = GOLDEN / "openbeats" / f"openbeats_{golden}_tiny_expected.safetensors"
    output = folder / "tokens.safetensors"
    done = subprocess.run(
        [sys.executable, "-c", LOAD, json.dumps(wanted), str(features), str(output)],
        env={**hub.environment(folder / "home", token=None), "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr, load_file(output)


@pytest.mark.slow
def test_a_repository_of_the_hub_is_converted_once_and_then_loads_without_the_hub(hub, tmp_path):
    wanted = (BASE, hub.repositories["model", BASE].commits[0].oid)
    golden = load_file(GOLDEN / "openbeats" / "openbeats_base_tiny_expected.safetensors")["output"]
    said, tokens = run(hub, tmp_path, wanted, wanted)
    assert said.count(f"converting {BASE} (epoch_latest.pt, 0 MB), once") == 1
    for found in tokens["0"], tokens["1"]:
        torch.testing.assert_close(found, golden, atol=1e-5, rtol=0)
    for environment in ({"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}):  # the latter gives no answer
        said, tokens = run(hub, tmp_path, wanted, **environment)
        assert "converting" not in said
        torch.testing.assert_close(tokens["0"], golden, atol=1e-5, rtol=0)
    (folder,) = (tmp_path / "home" / "retainmix" / "encoders").iterdir()
    assert "license: cc-by-4.0" in (folder / "README.md").read_text()  # for the card of what is made of it


@pytest.mark.slow
def test_every_revision_of_a_repository_has_its_own_conversion(hub, tmp_path):
    first, second = (commit.oid for commit in hub.repositories["model", BASE].commits)
    said, online = run(hub, tmp_path, (BASE, first), (BASE, None), (BASE, "v9"))
    assert said.count("converting") == 2 and not torch.allclose(online["0"], online["1"])
    assert "has no revision 'v9': check the branch, tag or commit" in said
    said, offline = run(hub, tmp_path, (BASE, first), (BASE, second), (BASE, "main"), HF_HUB_OFFLINE="1")
    assert "converting" not in said
    for index, expected in (("0", online["0"]), ("1", online["1"]), ("2", online["1"])):
        torch.testing.assert_close(offline[index], expected, atol=0, rtol=0)


@pytest.mark.slow
def test_a_fine_tuned_repository_finds_its_base_and_loads_offline(hub, tmp_path):
    golden = load_file(GOLDEN / "openbeats" / "openbeats_finetune_tiny_expected.safetensors")
    for environment in ({}, {"HF_HUB_OFFLINE": "1"}):
        said, tokens = run(hub, tmp_path, (TUNED, None), golden="finetune", **environment)
        assert ("converting" in said) == (not environment)
        torch.testing.assert_close(tokens["0"], golden["output"], atol=1e-5, rtol=0)


@pytest.mark.slow
def test_what_was_downloaded_by_other_means_is_converted_offline(hub, tmp_path):
    patterns = ["*config.yaml", "*epoch*.pt"]
    download = f"from huggingface_hub import snapshot_download; snapshot_download({BASE!r}, allow_patterns={patterns})"
    environment = hub.environment(tmp_path / "home", token=None)
    subprocess.run([sys.executable, "-c", download], check=True, env=environment)
    said, tokens = run(hub, tmp_path, (BASE, None), HF_HUB_OFFLINE="1")
    assert "converting" in said and len(tokens) == 1


@pytest.mark.slow
def test_when_a_repository_holds_no_model_then_error_says_what_was_looked_for(hub, tmp_path):
    said, tokens = run(hub, tmp_path, ("acme/empty", None), ("acme/absent", None))
    assert tokens == {}
    assert "acme/empty is not a model: its repository holds neither a config.json nor weights of an original" in said
    assert "the folder acme/absent does not exist, and the Hub has no model of that name" in said
