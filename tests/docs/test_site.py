"""The documentation as a site: built strictly, complete, and whole without network."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "audio": "src", "source": "src"}
IN_STYLES = re.compile(r"url\(\s*[\"']?((?:https?:)?//[^)\"']+)|@import\s+[\"']((?:https?:)?//[^\"']+)")


class LoadedAssets(HTMLParser):
    """What a browser loads for a page: scripts, styles, pictures; not the links that a reader may follow."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value for name, value in attrs if value and name == LOADED.get(tag)]


def loaded(page: str) -> list[str]:
    parser = LoadedAssets()
    parser.feed(page)
    return parser.addresses


def external(addresses: list[str]) -> list[str]:
    return [address for address in addresses if re.match(r"(https?:)?//", address)]


def in_styles(text: str) -> list[str]:
    return ["".join(found) for found in IN_STYLES.findall(text)]


def test_every_page_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r": ([\w/]+\.md)$", text, re.MULTILINE)
    docs = ROOT / "docs"
    assert sorted(named) == sorted(str(path.relative_to(docs)) for path in docs.rglob("*.md"))
    assert yaml.safe_load(text)["theme"]["font"] is False


def test_when_a_page_loads_from_another_host_then_it_is_found():
    page = '<a href="https://a.org"></a><link rel="stylesheet" href="//b.org/x.css"><script src="x.js"></script>'
    assert external(loaded(page)) == ["//b.org/x.css"]
    assert in_styles("@import 'https://c.org/y.css'; p {background: url(https://d.org/z.png)}") == [
        "https://c.org/y.css",
        "https://d.org/z.png",
    ]


@pytest.mark.system
def test_when_the_site_is_built_then_no_page_loads_from_another_host(tmp_path):
    site = tmp_path / "site"
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site]
    nowhere = "http://127.0.0.1:9"  # a build that asked the network would fail
    proxy = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere)
    run = subprocess.run(build, cwd=ROOT, env=os.environ | proxy, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    pages = {path.relative_to(site): path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    assert len(pages) > len(list((ROOT / "docs").rglob("*.md")))  # and the page of an unknown address
    for name, page in pages.items():
        assert external(loaded(page)) == [] and in_styles(page) == [], name
        if name.parent.name == "reference":
            assert "doc-heading" in page and "doc-contents" in page, f"{name} documents nothing"
    for path in site.rglob("*.css"):
        assert external(in_styles(path.read_text(encoding="utf-8"))) == [], path
