"""Runs the Python blocks of one page, one after the other in one namespace, as a reader would paste them.

Reads requests from stdin and answers on stdout, one JSON object a line each:
{"code": source, "file": name for tracebacks, "line": its first line} -> {"output": printed text, "error": traceback}.
"""

import contextlib
import io
import json
import os
import sys
import traceback
from typing import Any


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print below Python is no answer
    sys.path.insert(0, os.getcwd())
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for line in sys.stdin:
        request = json.loads(line)
        printed, error = io.StringIO(), ""
        try:
            # Empty lines in front give tracebacks the line of the page.
            code = compile("\n" * (request["line"] - 1) + request["code"], request["file"], "exec")
            with contextlib.redirect_stdout(printed):
                exec(code, namespace)
        except BaseException:  # SystemExit, too, is the failure of a block
            error = traceback.format_exc()
        answers.write(json.dumps({"output": printed.getvalue(), "error": error}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
