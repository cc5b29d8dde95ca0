"""Pushing a finished folder to the Hub: checked first, then uploaded as one commit."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx2  # the client underneath huggingface_hub
from huggingface_hub import CommitOperationAdd, HfApi, ModelCard, get_token
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import filter_repo_objects

PICKLE_SUFFIXES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")
# States of an unfinished training, its logs and the caches of tools do not belong to a model.
IGNORED = (
    "checkpoint-*/*",
    ".checkpoint-staging/*",
    ".making-*",
    ".lock",
    "runs/*",
    "*.tmp",
    "__pycache__/*",
    "*/__pycache__/*",
    ".git/*",
    ".cache/*",
)
ATTEMPTS = 3
BACKOFF_SECONDS = 1.0


def push_folder(
    folder: str | os.PathLike,
    repo_id: str,
    private: bool = False,
    repo_type: str = "model",
    token: str | None = None,
    commit_message: str = "Upload with retainmix",
) -> str:
    """Create the repository if it is missing and upload the folder as one commit.

    `HfApi.upload_folder` is not used: with hf-xet it uploads a folder in several commits, and an interrupted push
    would leave a repository whose weights and configuration disagree. Here one commit comes last and holds everything.

    The code in a model's card loads it by the name that it had when the card was written, such as its folder; what is
    uploaded has the name of the repository there (`card_under_name`).

    Args:
        folder: what to upload; training checkpoints (`checkpoint-*`) and logs (`runs`) in it stay behind.
        repo_id: `organisation/name`; a bare name is one of the token's owner.
        private: create the repository as a private one, and refuse to push into one that is public.
        repo_type: "model", "dataset" or "space".
        token: access token; None: the one of the environment or of `hf auth login`.
        commit_message: title of the commit.

    Returns:
        The address of the commit.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: the folder is empty, holds a pickled file (by its suffix) or a file with the access token in it; or
            the repository is public although `private` was asked for.
        PermissionError: the token is missing, wrong, or may not write to the repository.
        ConnectionError: the Hub failed or was not reached, three times in a row; nothing was committed.
    """
    paths = _checked_paths(Path(folder), {found for found in (token, get_token()) if found})
    api = HfApi(token=token)

    def upload() -> str:
        full_name = api.create_repo(
            repo_id,
            private=private,
            repo_type=repo_type,
            exist_ok=True,
            space_sdk="gradio" if repo_type == "space" else None,
        ).repo_id
        if private and not api.repo_info(full_name, repo_type=repo_type).private:
            raise ValueError(f"{repo_id} exists and is public: make it private first, or push without private=True")
        commit = api.create_commit(
            full_name,
            [CommitOperationAdd(name, _content(path, full_name)) for name, path in paths.items()],
            commit_message=commit_message,
            repo_type=repo_type,
        )
        return str(commit.commit_url)

    return _with_retries(upload, repo_id, f"the upload of {folder}", token)


def repository_name(repo_id: str, token: str | None = None) -> str:
    """Return the full name of a repository to push to later, once the Hub has taken the access token.

    Args:
        repo_id: `organisation/name`; a bare name is one of the token's owner.
        token: access token; None: the one of the environment or of `hf auth login`.

    Raises:
        PermissionError: the token is missing or wrong.
        ConnectionError: the Hub failed or was not reached, three times in a row.
    """
    owner = _with_retries(lambda: HfApi(token=token).whoami()["name"], repo_id, "the check of the access token", token)
    return repo_id if "/" in repo_id else f"{owner}/{repo_id}"


def card_under_name(text: str, name: str) -> str:
    """Put another name of the model into its card: in the title, the front matter and code that loads it.

    Args:
        text: of a `README.md`; one whose front matter names no model stays as it is.
        name: `organisation/name`.
    """
    old = ModelCard(text, ignore_metadata_errors=True).data.get("model_name")
    if not isinstance(old, str) or old == name:
        return text
    word = re.compile(rf"(?<![\w./-]){re.escape(old)}(?![\w./-])")
    code = re.compile(r"^```(?:python|bash)\n.*?^```$", re.MULTILINE | re.DOTALL)
    text = code.sub(lambda block: word.sub(lambda _: name, block[0]), text)
    title, new_title = old.rsplit("/", 1)[-1], name.rsplit("/", 1)[-1]
    for line, new in (
        (f"- name: {old}", f"- name: {name}"),
        (f"model_name: {old}", f"model_name: {name}"),
        (f"# {title}", f"# {new_title}"),
    ):
        text = f"\n{text}".replace(f"\n{line}\n", f"\n{new}\n", 1)[1:]
    return text


def _content(path: Path, name: str) -> Path | bytes:
    """Return what to upload of a file."""
    if path.name != "README.md":
        return path
    text = path.read_text(encoding="utf-8")
    renamed = card_under_name(text, name)
    return path if renamed == text else renamed.encode()


def _with_retries(request: Callable[[], str], repo_id: str, what: str, token: str | None) -> str:
    """Return what the request returns; raise the errors of `push_folder` if it fails."""
    if not (token or get_token()):  # asked without one, the Hub answers as to a wrong one
        raise PermissionError(
            f"{repo_id}: there is no access token: log in with `hf auth login`, or set HF_TOKEN to a token that may "
            "write there"
        )
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return request()
        except HfHubHTTPError as error:
            status = error.response.status_code
            if status == 401:
                raise PermissionError(
                    f"{repo_id}: the Hub refused the access token (status 401): it is wrong or has expired; log in "
                    "again with `hf auth login`, or set HF_TOKEN to a new one"
                ) from None
            if status == 403:
                raise PermissionError(
                    f"{repo_id}: the access token may not write there (status 403): check the name, or use a token "
                    "with write access to it"
                ) from None
            if status < 500:
                raise ValueError(f"{repo_id}: the Hub refused {what}: {' '.join(str(error).split())}") from None
            problem = f"status {status}"
        except (httpx2.TransportError, ConnectionError, TimeoutError) as error:
            problem = str(error) or type(error).__name__
        if attempt < ATTEMPTS:
            time.sleep(BACKOFF_SECONDS * 2 ** (attempt - 1))
    raise ConnectionError(f"{repo_id}: {what} failed {ATTEMPTS} times ({problem}); nothing was committed, try again")


def _checked_paths(folder: Path, tokens: set[str]) -> dict[str, Path]:
    """Return the files to upload by their names in the repository; raise an error for what may not go up."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: save the model there first")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    paths = {name: folder / name for name in filter_repo_objects(names, ignore_patterns=list(IGNORED))}
    if not paths:
        raise ValueError(f"{folder} holds nothing to upload: save the model there first")
    pickles = [name for name in paths if name.lower().endswith(PICKLE_SUFFIXES)]
    if pickles:
        raise ValueError(
            f"{folder} holds {', '.join(pickles)}: pickled files are not uploaded, since loading one runs its code; "
            "save weights as safetensors, settings as JSON, or remove the files"
        )
    for name, path in paths.items():
        # Weights are tensors, and may be larger than memory.
        if not name.endswith(".safetensors") and any(token.encode() in path.read_bytes() for token in tokens):
            raise ValueError(f"{path} holds the access token: remove it from the file before pushing")
    return paths
