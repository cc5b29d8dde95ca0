"""JSON files, read with errors that name the file."""

import json
import os
from typing import Any

from modeling_retainmix.csv_files import read_text

MAX_DEPTH = 100  # of brackets in brackets; what the package writes has fewer than ten levels


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is not in UTF-8 or not JSON, is nested deeper than `MAX_DEPTH`, or holds text that UTF-8 cannot
            express; the message names the file.
    """
    text = read_text(path)
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError(f"{path} is not valid JSON: it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error})") from None
    level = [content]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level if isinstance(outer, (dict, list)) for inner in _members(outer)]
    if level:
        raise ValueError(f"{path} is not valid JSON: it is nested too deeply")
    try:
        json.dumps(content, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{path} holds half of a surrogate pair: remove that character") from None
    return content


def _members(content: dict[str, Any] | list[Any]) -> list[Any]:
    return list(content.values()) if isinstance(content, dict) else content
