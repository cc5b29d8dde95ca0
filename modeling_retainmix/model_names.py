"""Names of models: a folder on this machine or a repository on the Hub, and one line where a name is neither.

transformers takes every name that is not a folder for one on the Hub; a mistyped folder then fails far from its cause.
"""

import os
from pathlib import Path

from huggingface_hub import get_token, is_offline_mode, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from transformers import CONFIG_NAME
from transformers.utils import cached_file


def check_model_name(name: str | os.PathLike[str], revision: str | None = None) -> None:
    """Check that there is a model of this name, by looking for its configuration as transformers does.

    Args:
        name: folder with a `config.json`, or name of a model on the Hub or in its cache.
        revision: branch, tag or commit on the Hub; None: the main branch.

    Raises:
        FileNotFoundError: the folder does not exist or has no such file, and what the Hub answered to the name.
    """
    if find_config_file(name, revision) is None:
        where = "the folder" if Path(name).is_dir() else "on the Hub it"
        raise FileNotFoundError(f"{name} is not a model, {where} has no {CONFIG_NAME}: check the name")


def find_config_file(name: str | os.PathLike[str], revision: str | None = None) -> str | None:
    """Find the `config.json` of a folder or of a repository on the Hub; arguments as above.

    Returns:
        Its path; None: the folder or the repository is there and has no such file.

    Raises:
        FileNotFoundError: there is neither, and what the Hub answered to the name.
    """
    if Path(name).is_file():
        raise FileNotFoundError(f"{name} is a file: give the folder of the model, in which it lies")
    try:
        return cached_file(name, CONFIG_NAME, revision=revision)
    except OSError as error:
        # transformers wraps what huggingface_hub raised into several long lines
        answer = error.__cause__ or error
        if isinstance(answer, LocalEntryNotFoundError) and _has_snapshot(name, revision):
            return None
        raise FileNotFoundError(_explain(name, revision, answer)) from error


def _has_snapshot(name: str | os.PathLike[str], revision: str | None) -> bool:
    """Whether the Hub's cache holds files of a repository, and no configuration was left out."""
    try:
        snapshot_download(str(name), revision=revision, allow_patterns=CONFIG_NAME, local_files_only=True)
    except LocalEntryNotFoundError:
        return False
    return True


def _explain(name: str | os.PathLike[str], revision: str | None, answer: BaseException) -> str:
    """Return the Hub's answer to a name that is not a folder, in one line."""
    missing = f"the folder {name} does not exist, and"
    if isinstance(answer, HFValidationError):
        return f"{missing} no model on the Hub can have that name: check the path"
    if isinstance(answer, HfHubHTTPError) and answer.response.status_code == 401 and get_token():
        return (
            f"{missing} the Hub refused the access token (status 401): it is wrong or has expired; log in again with "
            "`hf auth login`, or set HF_TOKEN to a new one"
        )
    if isinstance(answer, RevisionNotFoundError):
        return f"the model {name} on the Hub has no revision {revision!r}: check the branch, tag or commit"
    if isinstance(answer, GatedRepoError):
        return f"{missing} the model on the Hub is gated: ask for access on its page, then log in with `hf auth login`"
    if isinstance(answer, RepositoryNotFoundError):
        login = "use a token that may read it" if get_token() else "log in with `hf auth login`"
        return f"{missing} the Hub has no model of that name, or a private one: check the path, or {login}"
    if isinstance(answer, LocalEntryNotFoundError):
        why = "and the Hub is not asked in offline mode" if is_offline_mode() else "and the Hub cannot be reached"
        wanted = "that name" if revision is None else f"that name at the revision {revision!r}"
        return f"{missing} no model of {wanted} is in the Hub's cache, {why}: check the path, or download the model"
    return f"{missing} the Hub answered: {' '.join(str(answer).split())}"
