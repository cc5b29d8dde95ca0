"""Pushing through the real client to a loopback Hub: one commit, nothing pickled, no token, whole or not at all."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import TOKEN, Fault, HubServer
from huggingface_hub import ModelCard

import modeling_retainmix.hub.push as push_module
from modeling_retainmix.hub.card import write_model_card, write_unscored_card
from modeling_retainmix.hub.push import card_under_name, push_folder


@pytest.fixture
def hub():
    with HubServer() as server:
        yield server


@pytest.fixture
def folder(checkpoint_folder: Path, results: dict) -> Path:
    write_model_card(checkpoint_folder, results)
    (checkpoint_folder / "model.safetensors").write_bytes(b"weights" * 500_000)  # more than a socket buffers
    (checkpoint_folder / "config.json").write_text('{"model_type": "retainmix_beats"}')
    return checkpoint_folder


def push(hub: HubServer, folder: Path, home: Path, options: str = "", token: str | None = TOKEN, name="acme/hum"):
    return call(f"push_folder({str(folder)!r}, {name!r}{options})", hub, home, token)


def call(expression: str, hub: HubServer, home: Path, token: str | None = TOKEN):
    # As a lone file: importing the package would add seconds of torch to each of these processes.
    code = f"""
import runpy
module = runpy.run_path({push_module.__file__!r})
module["push_folder"].__globals__["BACKOFF_SECONDS"] = 0.01
print(eval({expression!r}, module))
"""
    return subprocess.run(
        [sys.executable, "-P", "-c", code], env=hub.environment(home, token), capture_output=True, text=True
    )


def last_line(done: subprocess.CompletedProcess) -> str:
    return done.stderr.strip().splitlines()[-1]


def test_folder_goes_up_as_one_commit_with_its_exact_content(hub, folder, tmp_path):
    (folder / "checkpoint-10").mkdir()
    (folder / "checkpoint-10" / "optimizer.pt").write_bytes(b"state of an unfinished training")
    (folder / ".checkpoint-staging" / "checkpoint-20").mkdir(parents=True)
    (folder / ".checkpoint-staging" / "checkpoint-20" / "optimizer.pt").write_bytes(b"what a killed run left")
    done = push(hub, folder, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    repository = hub.repositories["model", "acme/hum"]
    assert len(repository.commits) == 2  # the empty repository, and the push
    pushed = repository.commits[-1]
    assert done.stdout == f"{hub.endpoint}/acme/hum/commit/{pushed.oid}\n"
    expected = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert pushed.files == {".gitattributes": b"", **expected}
    assert not repository.private
    assert [path for method, path in hub.requests if "/commit/" in path] == ["/api/models/acme/hum/commit/main"]
    assert any(path.startswith("/lfs/") for _, path in hub.requests)


def test_pushing_again_commits_only_what_changed(hub, folder, tmp_path):
    assert push(hub, folder, tmp_path / "home").returncode == 0
    assert push(hub, folder, tmp_path / "home").returncode == 0
    assert len(hub.repositories["model", "acme/hum"].commits) == 2
    (folder / "config.json").write_text("{}")
    assert push(hub, folder, tmp_path / "home").returncode == 0
    assert hub.repositories["model", "acme/hum"].commits[-1].files["config.json"] == b"{}"


def test_private_push_makes_a_private_repository_and_refuses_a_public_one(hub, folder, tmp_path):
    assert push(hub, folder, tmp_path / "home", ", private=True").returncode == 0
    repository = hub.repositories["model", "acme/hum"]
    assert repository.private
    repository.private = False
    (folder / "config.json").write_text("{}")
    done = push(hub, folder, tmp_path / "home", ", private=True")
    assert "acme/hum exists and is public" in last_line(done)
    assert len(repository.commits) == 2


REFUSALS = [  # token, what the Hub answers to it, what the user reads
    (None, None, "there is no access token: log in with `hf auth login`, or set HF_TOKEN to a token that may write"),
    ("hf_WrongTokenOfSomebodyElse", None, r"the Hub refused the access token \(status 401\): it is wrong or has"),
    (TOKEN, "403", r"the access token may not write there \(status 403\): check the name, or use a token with write"),
]


@pytest.mark.parametrize(("token", "answer", "message"), REFUSALS, ids=["missing", "refused", "read-only"])
def test_when_token_is_missing_or_refused_then_the_messages_differ_and_hold_no_token(
    hub, folder, tmp_path, token, answer, message
):
    if answer is not None:
        hub.faults.append(Fault("POST", "/repos/create", answer, times=1))
    done = push(hub, folder, tmp_path / "home", token=token)
    assert done.returncode != 0
    assert re.match(f"PermissionError: acme/hum: {message}", last_line(done)), done.stderr
    assert hub.repositories == {} and bool(hub.requests) == (token is not None)
    if token:
        everything = done.stdout + done.stderr
        everything += "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())
        assert token not in everything


def test_bare_name_is_one_of_the_owner_of_the_token(hub, folder, tmp_path):
    done = push(hub, folder, tmp_path / "home", ", private=True", name="hum")
    assert done.returncode == 0, done.stderr
    assert len(hub.repositories["model", "acme/hum"].commits) == 2


@pytest.mark.parametrize(("name", "full_name"), [("hum", "acme/hum"), ("plant/hum", "plant/hum")])
def test_name_to_push_to_later_is_made_full_and_nothing_is_made_on_the_hub(hub, tmp_path, name, full_name):
    done = call(f"repository_name({name!r})", hub, tmp_path / "home")
    assert (done.stdout, hub.repositories) == (f"{full_name}\n", {}), done.stderr


@pytest.mark.parametrize(
    ("token", "message"),
    [("hf_WrongTokenOfSomebodyElse", r"refused the access token \(status 401\)"), (None, "there is no access token")],
)
def test_when_token_is_wrong_or_missing_then_the_name_is_not_given_out(hub, tmp_path, token, message):
    done = call("repository_name('acme/hum')", hub, tmp_path / "home", token)
    assert re.match(f"PermissionError: acme/hum: .*{message}", last_line(done))
    assert "hf_Wrong" not in done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["500", "drop", "cut"])
@pytest.mark.parametrize(("method", "pattern"), [("POST", "/preupload/"), ("PUT", "/lfs/"), ("POST", "/commit/")])
def test_when_a_request_fails_once_then_the_push_is_tried_again(hub, folder, tmp_path, method, pattern, kind):
    hub.faults.append(Fault(method, pattern, kind, times=1))
    done = push(hub, folder, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert len(hub.repositories["model", "acme/hum"].commits) == 2
    assert hub.faults[0].times == 0


@pytest.mark.parametrize("kind", ["500", "drop", "cut"])
def test_when_the_commit_keeps_failing_then_error_is_one_line_and_the_remote_is_as_it_was(hub, folder, tmp_path, kind):
    assert push(hub, folder, tmp_path / "home").returncode == 0
    before = dict(hub.repositories["model", "acme/hum"].commits[-1].files)
    (folder / "model.safetensors").write_bytes(b"newer" * 1000)
    (folder / "config.json").write_text("{}")
    hub.faults.append(Fault("POST", "/commit/", kind, times=100))
    done = push(hub, folder, tmp_path / "home")
    assert re.match(
        r"ConnectionError: acme/hum: the upload of .* failed 3 times .*nothing was committed", last_line(done)
    )
    assert hub.faults[0].times == 97
    assert len(hub.repositories["model", "acme/hum"].commits) == 2
    assert hub.repositories["model", "acme/hum"].commits[-1].files == before


@pytest.mark.parametrize("is_scored", [True, False])
def test_card_has_the_name_of_the_repository_when_it_is_uploaded(results, tmp_path, is_scored):
    name = "outputs/demo"
    results["command"] = f"accelerate launch train_accelerate.py --output_dir {name}"
    record = {**results, "model": {**results["model"], "name": name}}
    path = write_model_card(tmp_path, record) if is_scored else write_unscored_card(tmp_path, record)
    text = path.read_text()
    pushed = ModelCard(card_under_name(text, "acme/hum"))
    assert pushed.data.model_name == "acme/hum" and pushed.text.lstrip().startswith("# hum\n")
    blocks = re.findall(r"^```python\n(.*?)^```$", pushed.text, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2 and all('"acme/hum"' in block and name not in block for block in blocks)
    if is_scored:
        assert f"--output_dir {name}" in pushed.text  # what was run
    assert card_under_name(pushed.content, "acme/hum") == pushed.content
    assert card_under_name("# a page without front matter\n", "acme/hum") == "# a page without front matter\n"


def test_pushed_card_is_that_of_the_repository_and_the_folder_stays_as_it_is(hub, folder, results, tmp_path):
    results["model"]["name"] = "outputs/demo"
    before = write_model_card(folder, results).read_bytes()
    assert push(hub, folder, tmp_path / "home", name="hum").returncode == 0
    files = hub.repositories["model", "acme/hum"].commits[-1].files
    assert b'from_pretrained("acme/hum")' in files["README.md"] and (folder / "README.md").read_bytes() == before


def test_space_goes_up_as_a_space(hub, folder, tmp_path):
    done = push(hub, folder, tmp_path / "home", ', repo_type="space"')
    assert done.returncode == 0, done.stderr
    assert ("space", "acme/hum") in hub.repositories


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "training_args.BIN", "nested/optimizer.pt", "a.pkl", "b.pth", "c.ckpt"]
)
def test_pickled_files_are_refused_by_name(folder, name):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=re.escape(name)):
        push_folder(folder, "acme/hum")


@pytest.mark.parametrize("name", ["results.json", ".env", "train.log"])
@pytest.mark.parametrize("token", [TOKEN, None], ids=["of the call", "of the environment"])
def test_when_a_file_holds_the_token_then_it_is_named_and_the_token_is_not(folder, monkeypatch, name, token):
    monkeypatch.setattr(push_module, "get_token", lambda: "hf_other" if token else TOKEN)
    (folder / name).write_text(json.dumps({"command": f"train --hub_token {TOKEN}"}))
    with pytest.raises(ValueError, match=re.escape(f"{name} holds the access token")) as raised:
        push_folder(folder, "acme/hum", token=token)
    assert TOKEN not in str(raised.value)


def test_when_folder_is_missing_or_empty_then_error_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        push_folder(tmp_path / "nowhere", "acme/hum")
    os.mkdir(tmp_path / "empty")
    with pytest.raises(ValueError, match="empty holds nothing to upload"):
        push_folder(tmp_path / "empty", "acme/hum")
