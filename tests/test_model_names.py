"""A name that is no model gives one line that says what was looked for; folders, Hub names and caches keep working."""

import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import TOKEN, HubServer

from modeling_retainmix.detection.detector import AnomalyDetector
from modeling_retainmix.encoders import BeatsConfig
from modeling_retainmix.model_names import check_model_name

CHECK = (
    "import sys\n"
    "from modeling_retainmix.model_names import check_model_name\n"
    "try:\n"
    "    check_model_name(*sys.argv[1:])\n"
    "except FileNotFoundError as error:\n"
    "    sys.exit(str(error))\n"
)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("outputs/dmeo", r"no model of that name is in the Hub's cache, and the Hub is not asked in offline mode"),
        ("dmeo", r"no model of that name is in the Hub's cache"),
        ("/outputs/dmeo", "no model on the Hub can have that name"),
        ("./dmeo", "no model on the Hub can have that name"),
        ("outputs/dmeo/", "no model on the Hub can have that name"),
        ("outputs/demo/teacher", "no model on the Hub can have that name"),
    ],
)
@pytest.mark.parametrize("load", [check_model_name, AnomalyDetector.from_pretrained])
def test_when_there_is_no_folder_then_one_line_names_it_and_the_answer_of_the_hub(
    load, name, answer, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"^the folder {name} does not exist, and {answer}.*: check the path"):
        load(name)
    with pytest.raises(FileNotFoundError) as raised:
        load(Path(name))
    assert "\n" not in str(raised.value)


def test_when_a_revision_is_not_in_the_cache_then_error_names_it():
    with pytest.raises(FileNotFoundError, match=r"no model of that name at the revision 'v2' is in the Hub's cache"):
        check_model_name("acme/hum", "v2")


def test_when_folder_holds_no_configuration_then_error_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"^{tmp_path} is not a model, the folder has no config\.json"):
        check_model_name(tmp_path)


def test_when_a_file_is_given_then_error_asks_for_its_folder(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors is a file: give the folder"):
        check_model_name(tmp_path / "model.safetensors")


def test_when_folder_holds_a_model_then_nothing_is_said(tmp_path, monkeypatch):
    BeatsConfig().save_pretrained(tmp_path / "outputs" / "demo")
    monkeypatch.chdir(tmp_path)
    for name in ("outputs/demo", "./outputs/demo", "outputs/demo/", tmp_path / "outputs" / "demo"):
        check_model_name(name)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    BeatsConfig().save_pretrained(folder)
    with HubServer() as server:
        server.add_repository("acme/hum", folder)
        server.add_repository("acme/empty", tmp_path_factory.mktemp("empty"))
        yield server


def check(hub, home, *arguments, **environment):
    """What a fresh process says to the check: nothing, or the error."""
    env = {**hub.environment(home, token=None), "PYTHONPATH": str(Path(__file__).parents[1]), **environment}
    done = subprocess.run([sys.executable, "-c", CHECK, *arguments], env=env, capture_output=True, text=True)
    return done.stderr.strip()


@pytest.mark.slow
def test_names_revisions_and_the_cache_of_the_hub_pass_and_what_it_lacks_is_said(hub, tmp_path):
    commit = hub.repositories["model", "acme/hum"].commits[0].oid
    assert check(hub, tmp_path, "acme/hum") == ""
    assert check(hub, tmp_path, "acme/hum", commit) == ""
    assert check(hub, tmp_path, "acme/hum", HF_HUB_OFFLINE="1") == ""
    assert check(hub, tmp_path, "acme/hum", commit, HF_HUB_OFFLINE="1") == ""
    assert check(hub, tmp_path, "acme/hum", "v9").endswith(
        "the model acme/hum on the Hub has no revision 'v9': check the branch, tag or commit"
    )
    assert check(hub, tmp_path, "acme/empty").endswith(
        "acme/empty is not a model, on the Hub it has no config.json: check the name"
    )
    assert check(hub, tmp_path, "outputs/dmeo").endswith(
        "the folder outputs/dmeo does not exist, and the Hub has no model of that name, or a private one: check the "
        "path, or log in with `hf auth login`"
    )
    told = {token: check(hub, tmp_path, "acme/dmeo", HF_TOKEN=token) for token in (TOKEN, "hf_Wrong")}
    assert told[TOKEN].endswith("or a private one: check the path, or use a token that may read it")
    assert "the Hub refused the access token (status 401): it is wrong or has expired" in told["hf_Wrong"]
    assert "hf_Wrong" not in told["hf_Wrong"] and "Traceback" not in told["hf_Wrong"]
