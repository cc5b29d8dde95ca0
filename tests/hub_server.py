"""A small Hub on the loopback interface, for pushing and pulling through the real client libraries.

It knows what huggingface_hub, transformers and evaluate ask of the Hub when a repository is made, pushed to by one
commit (regular and LFS files) and read at a revision. Repositories live in memory. HF_ENDPOINT points the clients at
it, and is read at import: use it from a fresh process with `HubServer.environment`.
"""

import base64
import hashlib
import json
import os
import re
import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_TestTokenOfTheLoopbackHub"
KINDS = {"": "model", "models/": "model", "datasets/": "dataset", "spaces/": "space"}
LFS_SUFFIXES = (".safetensors", ".npz", ".parquet")


@dataclass
class Commit:
    """One revision: its message and the whole tree, name -> content."""

    oid: str
    message: str
    files: dict[str, bytes]


@dataclass
class Repository:
    """Commits in order; the last is the branch `main`."""

    private: bool
    commits: list[Commit] = field(default_factory=list)

    def add(self, message: str, files: dict[str, bytes]) -> Commit:
        oid = hashlib.sha1(f"{len(self.commits)}{message}{sorted(files)}".encode()).hexdigest()
        self.commits.append(Commit(oid, message, files))
        return self.commits[-1]

    def at(self, revision: str) -> Commit | None:
        found = [commit for commit in self.commits if commit.oid == revision]
        return self.commits[-1] if revision == "main" else next(iter(found), None)


@dataclass
class Fault:
    """Requests that fail: method, pattern of the path, how, how many times.

    Kinds are "500", "drop" (of the connection in place of an answer) and "cut" (of the connection within the body).
    """

    method: str
    pattern: str
    kind: str
    times: int


class HubServer:
    """The server with its state; a context manager.

    Attributes:
        endpoint: its address.
        repositories: {(kind, "org/name"): Repository}, kind "model", "dataset" or "space".
        requests: log of (method, path) in order.
        faults: consumed one by one by the requests that they match.
    """

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.requests: list[tuple[str, str]] = []
        self.faults: list[Fault] = []
        self.large_files: dict[str, bytes] = {}
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "HubServer":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def environment(self, home: Path, token: str | None = TOKEN) -> dict[str, str]:
        """Environment of a process whose Hub this server is, with its caches under `home`."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        return {
            **inherited,
            **({"HF_TOKEN": token} if token else {}),
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "NO_PROXY": "127.0.0.1",
        }

    def add_repository(self, repo_id: str, folder: Path, kind: str = "model", private: bool = False) -> Repository:
        """Puts a folder on the Hub without a client."""
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }
        repository = self.repositories[kind, repo_id] = Repository(private)
        repository.add("initial commit", files)
        return repository


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _serve(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        fault = self._next_fault(path)
        if fault == "cut":
            self.rfile.read(1)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
            self.connection.close()
            self.close_connection = True
            return
        body = self._body()  # drained before any answer, or the next request on this connection starts inside it
        if fault == "drop":
            self.close_connection = True
            return
        if fault is not None:
            self._json({"error": "internal error"}, int(fault))
            return
        for method, pattern, action, needs_token in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method.split():
                authorization = self.headers.get("Authorization")
                if authorization != f"Bearer {TOKEN}" and (authorization or needs_token):
                    self._json({"error": "Invalid username or password."}, 401)
                else:
                    action(self, body, **match.groupdict())
                return
        self._json({"error": f"no route for {self.command} {path}"}, 404)

    do_HEAD = do_GET = do_POST = do_PUT = do_DELETE = _serve

    def _next_fault(self, path: str) -> str | None:
        for fault in self.hub.faults:
            if fault.times > 0 and fault.method == self.command and re.search(fault.pattern, path):
                fault.times -= 1
                return fault.kind
        return None

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _json(self, content: Any, status: int = 200, error_code: str | None = None) -> None:
        headers = {"Content-Type": "application/json"} | ({"X-Error-Code": error_code} if error_code else {})
        self._answer(json.dumps(content).encode(), status, headers)

    def _repository(self, prefix: str, repo: str) -> Repository | None:
        """The repository, where it exists and this client may see it; otherwise the answer has been sent."""
        repository = self.hub.repositories.get((KINDS[prefix], repo))
        if repository is None or (repository.private and not self.headers.get("Authorization")):
            self._json({"error": "Repository not found"}, 404, "RepoNotFound")
            return None
        return repository

    def _commit_at(self, prefix: str, repo: str, revision: str | None) -> Commit | None:
        repository = self._repository(prefix, repo)
        commit = repository.at(revision or "main") if repository else None
        if repository and commit is None:
            self._json({"error": f"Invalid rev id: {revision}"}, 404, "RevisionNotFound")
        return commit

    def whoami(self, body: bytes) -> None:
        self._json({"type": "user", "name": "acme", "orgs": [], "auth": {"type": "access_token"}})

    def create(self, body: bytes) -> None:
        wanted = json.loads(body)
        kind, repo = wanted.get("type") or "model", f"{wanted.get('organization') or 'acme'}/{wanted['name']}"
        exists = (kind, repo) in self.hub.repositories
        if not exists:
            self.hub.repositories[kind, repo] = Repository(wanted.get("visibility") == "private")
            self.hub.repositories[kind, repo].add("initial commit", {".gitattributes": b""})
        self._json({"url": f"{self.hub.endpoint}/{repo}", "name": repo, "id": repo}, 409 if exists else 200)

    def delete(self, body: bytes) -> None:
        wanted = json.loads(body)
        key = (wanted.get("type") or "model", f"{wanted.get('organization') or 'acme'}/{wanted['name']}")
        found = self.hub.repositories.pop(key, None)
        self._json({}, *((200,) if found else (404, "RepoNotFound")))

    def validate_yaml(self, body: bytes) -> None:
        self._json({"errors": [], "warnings": []})

    def info(self, body: bytes, prefix: str, repo: str, revision: str | None = None) -> None:
        if commit := self._commit_at(prefix, repo, revision):
            private = self.hub.repositories[KINDS[prefix], repo].private
            siblings = [{"rfilename": name} for name in commit.files]
            self._json({"id": repo, "sha": commit.oid, "private": private, "tags": [], "siblings": siblings})

    def tree(self, body: bytes, prefix: str, repo: str, revision: str, folder: str | None = None) -> None:
        if commit := self._commit_at(prefix, repo, revision):
            start = f"{folder}/" if folder else ""
            inside = [name for name in commit.files if name.startswith(start)]
            if folder and not inside:
                self._json({"error": "Not found"}, 404, "EntryNotFound")
                return
            is_recursive = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() == "true"
            parents = {str(parent) for name in inside for parent in PurePosixPath(name).parents} - {".", folder}
            entries = [_tree_entry(name, commit.files[name]) for name in inside]
            entries += [{"type": "directory", "path": name, "size": 0, "oid": "0" * 40} for name in sorted(parents)]
            is_below = [is_recursive or "/" not in entry["path"].removeprefix(start) for entry in entries]
            self._json([entry for entry, below in zip(entries, is_below, strict=True) if below])

    def preupload(self, body: bytes, prefix: str, repo: str, revision: str) -> None:
        if commit := self._commit_at(prefix, repo, revision):
            answers = []
            for name in (entry["path"] for entry in json.loads(body)["files"]):
                mode = "lfs" if name.endswith(LFS_SUFFIXES) else "regular"
                oid = _oid(name, commit.files[name]) if name in commit.files else None
                answers.append({"path": name, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
            self._json({"files": answers})

    def lfs_batch(self, body: bytes, prefix: str, repo: str) -> None:
        objects = []
        for wanted in json.loads(body)["objects"]:
            upload = {"upload": {"href": f"{self.hub.endpoint}/lfs/{wanted['oid']}"}}
            known = wanted["oid"] in self.hub.large_files
            objects.append({**wanted, **({} if known else {"actions": upload})})
        self._json({"transfer": "basic", "objects": objects})

    def lfs_upload(self, body: bytes, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            self._json({"error": "content and oid differ"}, 400)
        else:
            self.hub.large_files[oid] = body
            self._answer(b"")

    def commit(self, body: bytes, prefix: str, repo: str, revision: str) -> None:
        parent = self._commit_at(prefix, repo, revision)
        if parent is None:
            return
        files, message = dict(parent.files), ""
        for line in (json.loads(text) for text in body.decode().splitlines()):
            value = line["value"]
            if line["key"] == "header":
                message = value["summary"]
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.large_files[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
            else:
                self._json({"error": f"unknown operation {line['key']}"}, 400)
                return
        commit = self.hub.repositories[KINDS[prefix], repo].add(message, files)
        url = f"{self.hub.endpoint}/{prefix.removeprefix('models/')}{repo}/commit/{commit.oid}"
        self._json({"success": True, "commitUrl": url, "commitOid": commit.oid, "hookOutput": ""})

    def resolve(self, body: bytes, prefix: str, repo: str, revision: str, name: str) -> None:
        commit = self._commit_at(prefix, repo, revision)
        if commit is None:
            return
        headers = {"X-Repo-Commit": commit.oid}
        if name not in commit.files:
            self._answer(b"Entry not found", 404, {**headers, "X-Error-Code": "EntryNotFound"})
            return
        content = commit.files[name]
        linked = {"X-Linked-Etag": f'"{_oid(name, content)}"', "X-Linked-Size": str(len(content))}
        large = linked if name.endswith(LFS_SUFFIXES) else {}
        headers |= {"ETag": f'"{_oid(name, content)}"', **large}
        if part := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):  # as streams read
            first, last = int(part[1]), min(int(part[2] or len(content)), len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            self._answer(content[first : last + 1], 206, headers)
        else:
            self._answer(content, 200, headers)


def _oid(name: str, content: bytes) -> str:
    if name.endswith(LFS_SUFFIXES):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _tree_entry(name: str, content: bytes) -> dict[str, Any]:
    entry = {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
    if name.endswith(LFS_SUFFIXES):
        entry["lfs"] = {"oid": _oid(name, content), "size": len(content), "pointerSize": 130}
    return entry


_API = r"/api/(?P<prefix>models/|datasets/|spaces/)(?P<repo>[\w.-]+/[\w.-]+)"
_PAGE = r"/(?P<prefix>datasets/|spaces/|)(?P<repo>[\w.-]+/[\w.-]+)"
_ROUTES = (
    ("GET", r"/api/whoami-v2", _Handler.whoami, True),
    ("POST", r"/api/repos/create", _Handler.create, True),
    ("DELETE", r"/api/repos/delete", _Handler.delete, True),
    ("POST", r"/api/validate-yaml", _Handler.validate_yaml, False),
    ("GET", _API, _Handler.info, False),
    ("GET", _API + r"/revision/(?P<revision>[^/]+)", _Handler.info, False),
    ("GET", _API + r"/tree/(?P<revision>[^/]+)(?:/(?P<folder>.+))?", _Handler.tree, False),
    ("POST", _API + r"/preupload/(?P<revision>[^/]+)", _Handler.preupload, True),
    ("POST", _API + r"/commit/(?P<revision>[^/]+)", _Handler.commit, True),
    ("POST", _PAGE + r"\.git/info/lfs/objects/batch", _Handler.lfs_batch, True),
    ("PUT", r"/lfs/(?P<oid>\w{64})", _Handler.lfs_upload, False),
    ("GET HEAD", _PAGE + r"/resolve/(?P<revision>[^/]+)/(?P<name>.+)", _Handler.resolve, False),
)
