"""Runs every code block of the README, of CONTRIBUTING.md and of docs/, in the order of each page.

The blocks of a page share a folder that looks like a checkout, its Python blocks one namespace. Shell blocks run at
small sizes (`small_command.py`); the Hub is the one of `hub_server.py`. A comment above a block says what it needs:

    <!-- test: files NAME -->         files that the reader would bring, see `FILES`
    <!-- test: set NAME=VALUE ... --> environment of a shell block
    <!-- test: status NUMBER -->      with which a shell block ends, other than 0
    <!-- test: output -->             of a `text` block: what the block above prints, give or take 2 % or 0.1
    <!-- test: skip REASON -->        for installation alone

A `yaml` block has a title, under which it is written (```yaml title="my_recipe.yaml").
"""

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hub_server import HubServer
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Their blocks train, measure or export for minutes.
TRAINING_PAGES = (
    *("export.md", "performance.md", "reproduce.md", "results.md", "several_gpus.md", "streaming.md", "training.md"),
)
RUN, PROSE = ("python", "bash", "yaml"), ("text", "bibtex")
DIRECTIVE = re.compile(r"<!-- test: (files|set|status|output|skip)\b ?(.*?) ?-->", re.DOTALL)
NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:e[+-]?\d+)?")
SECONDS = 3600  # ends what hangs, not what a busy machine slows down


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, its first line in it, its language and title, its directive, its text."""

    page: Path
    line: int
    language: str
    title: str
    directive: str
    value: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page.name}:{self.line}"


def read_blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order.

    Raises:
        ValueError: a language that is neither run nor prose, a directive without a block or that does not fit it.
    """
    blocks: list[Block] = []
    directive, value = "", ""
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "html_block" and "test:" in token.content:
            match = DIRECTIVE.fullmatch(token.content.strip())
            if match is None or directive:
                raise ValueError(f"{page.name}:{token.map[0] + 1}: {token.content.strip()} is not a valid directive")
            directive, value = match.groups()
        elif token.type in ("fence", "code_block"):
            language, _, rest = token.info.partition(" ")
            title = "".join(re.findall(r'title="(.+?)"', rest))
            block = Block(page, token.map[0] + 2, language, title, directive, value, token.content)
            fits = {
                "output": ("text",),
                "set": ("bash",),
                "status": ("bash",),
                "files": RUN,
                "skip": ("bash",),
                "": (*RUN, *PROSE),
            }
            if language not in fits[directive] or (language == "yaml" and not title):
                raise ValueError(f"{block}: a block of {language or 'no language'!r} does not fit {directive!r}")
            blocks.append(block)
            directive, value = "", ""
        elif directive and token.level == 0 and token.nesting >= 0:
            raise ValueError(f"{page.name}: the directive {directive!r} stands above no block")
    return blocks


def check_output(block: Block, output: str) -> None:
    """Assert that an output block shows what was printed, but for white space and 2 % or 0.1 of each number."""
    shown, printed = (" ".join(text.split()).replace("[ ", "[") for text in (block.text, output))
    assert NUMBER.sub("#", shown) == NUMBER.sub("#", printed), f"{block} shows\n{block.text}\nprinted is\n{output}"
    numbers = ([float(number) for number in NUMBER.findall(text)] for text in (shown, printed))
    for one, other in zip(*numbers, strict=True):
        assert one == pytest.approx(other, rel=0.02, abs=0.11), f"{block} shows {one}, printed is\n{output}"


class Page:
    """A page in its folder; blocks run in order, each once."""

    def __init__(self, blocks: list[Block], folder: Path, environment: dict[str, str]) -> None:
        self.blocks, self.folder = blocks, folder
        self._done, self._output = 0, ""
        self._environment = environment | {
            "HF_EVALUATE_OFFLINE": "1",
            "PYTHONPATH": str(ROOT),
            "PATH": os.pathsep.join(
                [str(folder / ".venv" / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
            ),
        }
        make_checkout(folder)
        self._errors = (folder.parent / f"{folder.name}.log").open("w+")
        self._worker = subprocess.Popen(
            [sys.executable, str(HERE / "page_worker.py")],
            cwd=folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def close(self) -> None:
        """End the Python process of the page."""
        assert self._worker.stdin is not None and self._worker.stdout is not None
        self._worker.stdin.close()
        self._worker.wait(30)
        self._worker.stdout.close()
        self._errors.close()

    def run(self, block: Block) -> None:
        """Run a block, after those above it that have not run yet."""
        last = self.blocks.index(block)
        while self._done <= last:
            self._done += 1  # first: a block that fails is not run again for each block below it
            self._run(self.blocks[self._done - 1])

    def _run(self, block: Block) -> None:
        if block.directive == "files":
            FILES[block.value](self.folder)
        if block.directive == "output":
            check_output(block, self._output)
        elif block.language == "python":
            self._output = self._python(block)
        elif block.language == "bash" and block.directive != "skip":
            self._output = self._bash(block)
        elif block.language == "yaml":
            (self.folder / block.title).write_text(block.text, encoding="utf-8")

    def _python(self, block: Block) -> str:
        assert self._worker.stdin is not None and self._worker.stdout is not None
        request = {"code": block.text, "file": str(block.page), "line": block.line}
        self._worker.stdin.write(json.dumps(request) + "\n")
        self._worker.stdin.flush()
        line = self._worker.stdout.readline()
        assert line, f"{block} ended Python:\n{Path(self._errors.name).read_text()[-3000:]}"
        answer = json.loads(line)
        assert not answer["error"], f"{block}\n{answer['error']}"
        return answer["output"]

    def _bash(self, block: Block) -> str:
        settings = dict(word.split("=", 1) for word in shlex.split(block.value)) if block.directive == "set" else {}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=self.folder,
            env=self._environment | settings,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        expected = int(block.value) if block.directive == "status" else 0
        assert done.returncode == expected, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout


def make_checkout(folder: Path) -> None:
    """Make a folder with what a reader finds in a checkout, and with commands of small sizes in its environment."""
    folders = ("benchmarks", "examples", "hub_cards", "retainmix_score", "tests")
    for name in (*folders, "Makefile", "pyproject.toml", "train_accelerate.py"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "docs", folder / "docs")  # pictures are written into it
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "accelerate", "make", "retainmix"):
        command = shlex.join([sys.executable, str(HERE / "small_command.py"), name])
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    (programs / "activate").touch()
    (folder / ".venv" / ".installed").touch()  # newer than pyproject.toml: `make` installs nothing


def challenge_files(folder: Path) -> None:
    """A development and an evaluation set of the challenge, each of one machine type."""
    generator = np.random.default_rng(0)
    references = [f"section_00_{d}_train_normal_{i:04}_x" for d in ("source", "target") for i in range(3)]
    labelled = [f"section_00_{d}_test_{c}_0000_x" for d in ("source", "target") for c in ("normal", "anomaly")]
    for part, names in (
        ("dev_data/fan/train", references),
        ("dev_data/fan/test", labelled),
        ("eval_data/Scanner/train", references),
        ("eval_data/Scanner/test", ["section_00_0000", "section_00_0001"]),
    ):
        (folder / part).mkdir(parents=True)
        for name in names:
            soundfile.write(folder / part / f"{name}.wav", generator.normal(0, 0.1, 8000), 16000)


def stack_files(folder: Path) -> None:
    """The development set of 2026, of one machine type and two microphones, and a checkpoint in BEATs' own format."""
    shutil.copy(ROOT / "tests" / "golden" / "beats" / "beats_pretrain.pt", folder / "BEATs_iter3.pt")
    generator = np.random.default_rng(0)
    for split, labels in (("train", ("normal",)), ("test", ("normal", "anomaly"))):
        for name in (
            f"section_00_{d}_{split}_{c}_{i:04}_x" for d in ("source", "target") for c in labels for i in (0, 1)
        ):
            path = folder / "dcase2026" / "fan" / split / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, generator.normal(0, 0.1, (8000, 2)), 16000)


def watch_files(folder: Path) -> None:
    """Healthy recordings of one machine, and one that has just arrived."""
    generator = np.random.default_rng(0)
    for name in (*(f"healthy/day_{day}.wav" for day in range(10)), "recordings/rec_001.wav"):
        (folder / name).parent.mkdir(exist_ok=True)
        soundfile.write(folder / name, generator.normal(0, 0.1, 32_000), 16000)


def reproduce_files(folder: Path) -> None:
    """Downloads of `docs/reproduce.md`: archives with a folder for each machine type, and the ground truth."""
    generator = np.random.default_rng(0)
    references = [f"train/section_00_{domain}_train_normal_0000_x.wav" for domain in ("source", "target")]
    cells = [(domain, label) for domain in (0, 1) for label in (0, 1)]
    tests = [f"test/section_00_{number:04}.wav" for number in range(len(cells))]
    machine = [f"supplemental/section_00_machine_{number:04}_.wav" for number in range(2)]
    noise = [f"supplemental/section_00_noise_supplemental_normal_{number:04}.wav" for number in range(4)]

    def archive(name: str, machine_type: str, clips: list[str], seconds: float) -> None:
        path = folder / "downloads" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as file:
            for number, clip in enumerate(clips):
                sound = generator.normal(0, 0.1, round(seconds * 16000))
                if number % 2:  # its level moves: not stationary
                    sound[: len(sound) // 2] *= 0.01
                content = io.BytesIO()
                soundfile.write(content, sound, 16000, format="WAV")
                file.writestr(f"{machine_type}/{clip}", content.getvalue())

    for name, extra in (("fan", machine), ("valve", machine), ("ToyCar", noise), ("ToyTrain", noise)):
        archive(f"2025/dev_{name}.zip", name, [*references, *extra], 2.0)
    for year, names in (
        ("2025", ("BandSealer", "Polisher", "ScrewFeeder")),
        ("2023", ("bandsaw", "grinder", "shaker")),
    ):
        for name in names:
            archive(f"{year}/eval_data_{name}_train.zip", name, references, 1.0)
            archive(f"{year}/eval_data_{name}_test.zip", name, tests, 1.0)
            for place, kind in ((1, "data"), (0, "domain")):
                truth = folder / "data" / "truth" / f"ground_truth_{kind}" / f"ground_truth_{name}_section_00_test.csv"
                truth.parent.mkdir(parents=True, exist_ok=True)
                lines = (f"{Path(test).name},{cell[place]}\n" for test, cell in zip(tests, cells, strict=True))
                truth.write_text("".join(lines))


FILES: dict[str, Callable[[Path], None]] = {
    "challenge": challenge_files,
    "reproduce": reproduce_files,
    "stack": stack_files,
    "watch": watch_files,
}


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """The Hub of all pages; it holds the checkpoint that the pages convert."""
    folder, golden = tmp_path_factory.mktemp("openbeats"), ROOT / "tests" / "golden" / "openbeats"
    shutil.copy(golden / "openbeats_base_tiny.pt", folder / "epoch_latest.pt")
    shutil.copy(golden / "base_config.yaml", folder / "config.yaml")
    with HubServer() as server:
        server.add_repository("shikhar7ssu/OpenBEATs-Base-i3", folder)
        yield server


@pytest.fixture(scope="module")
def open_page(tmp_path_factory: pytest.TempPathFactory, hub: HubServer) -> Iterator[Callable[[Path], Page]]:
    """Opens a page, or returns it where it is open; the caches are those of all pages."""
    home, pages = tmp_path_factory.mktemp("home"), {}

    def open_(path: Path) -> Page:
        if path not in pages:
            pages[path] = Page(read_blocks(path), tmp_path_factory.mktemp(path.stem), hub.environment(home))
        return pages[path]

    yield open_
    for page in pages.values():
        page.close()


def runnable() -> list:
    """One parameter per block."""
    parameters = []
    for path in PAGES:
        with suppress(ValueError):  # `test_page_can_be_read` reports it
            blocks = [block for block in read_blocks(path) if block.language in RUN or block.directive]
            marks = [pytest.mark.system] if path.name in TRAINING_PAGES else []
            parameters += [pytest.param(block, id=str(block), marks=marks) for block in blocks]
    return parameters


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_page_can_be_read(path: Path):
    read_blocks(path)


@pytest.mark.slow
@pytest.mark.parametrize("block", runnable())
def test_block_runs(open_page: Callable[[Path], Page], block: Block):
    open_page(block.page).run(block)


def test_only_installation_is_left_out():
    skipped = [block for path in PAGES for block in read_blocks(path) if block.directive == "skip"]
    assert [block for block in skipped if not re.match(r"(pip|make|git|python3? -m venv)\b", block.text)] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```python\n1 / 0\n```\n", "ZeroDivisionError"),
        ("```bash\nfalse\ntrue\n```\n", "page.md:2"),
        ("```bash\npython -m no_such_module\n```\n", "no_such_module"),
        ("```python\nprint(1.0)\n```\n\n<!-- test: output -->\n\n```text\n1.5\n```\n", "shows 1.5"),
        ("```python\nprint('a')\n```\n\n<!-- test: output -->\n\n```text\nb\n```\n", "printed is"),
        ("```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n", "AssertionError"),
    ],
)
def test_when_a_block_is_wrong_then_its_test_fails(tmp_path, text, message):
    path = tmp_path / "page.md"
    path.write_text(text)
    folder = tmp_path / "checkout"
    folder.mkdir()
    page = Page(read_blocks(path), folder, dict(os.environ))
    try:
        with pytest.raises(AssertionError, match=message):
            page.run(page.blocks[-1])
    finally:
        page.close()


@pytest.mark.parametrize(
    "text",
    [
        "```python3\nprint(1)\n```\n",
        "    print(1)\n",
        "```yaml\na: 1\n```\n",
        "<!-- test: skip slow -->\n\n```python\nprint(1)\n```\n",
        "<!-- test: skipp it -->\n\n```bash\ntrue\n```\n",
        "<!-- test: set A=1 -->\n\nsome words\n",
    ],
)
def test_when_a_block_would_slip_through_then_error(tmp_path, text):
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(ValueError, match=r"page\.md"):
        read_blocks(tmp_path / "page.md")


def test_blocks_of_a_page_share_names_and_folder_and_output_may_round(tmp_path):
    text = (
        "```python\nx = 1.004\n```\n\n```bash\necho 3 > number\n```\n\n"
        "```python\nprint(f'{x:.1f}', [open('number').read().strip()])\n```\n\n"
        "<!-- test: output -->\n\n```text\n1.0 ['3']\n```\n"
    )
    (tmp_path / "page.md").write_text(text)
    folder = tmp_path / "checkout"
    folder.mkdir()
    page = Page(read_blocks(tmp_path / "page.md"), folder, dict(os.environ))
    try:
        page.run(page.blocks[-1])
    finally:
        page.close()
