"""What the documents claim that needs no run: length, links, tables, names of modules and files, metadata."""

import csv
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from huggingface_hub.constants import HF_HOME

from modeling_retainmix.data.benchmark_arguments import BenchmarkArguments
from modeling_retainmix.evaluation.compared_systems import RUN_SYSTEMS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
ROWS = {  # label in a table -> (file of the measured rows, key)
    "Log-mel mean": ("demo_seeds", "log_mel"),
    "Log-mel mean, whitened": ("demo_seeds", "log_mel_whitened"),
    "Log-mel statistics": ("demo_seeds", "log_mel_statistics"),
    "Log-mel statistics, whitened": ("demo_seeds", "log_mel_statistics_whitened"),
    "Random weights, same layer": ("demo_seeds", "random_weights"),
    "Frozen teacher, same layer": ("demo_seeds", "frozen_same_layer"),
    "Frozen teacher, best layer on validation machines": ("demo_seeds", "frozen_best_layer"),
    "Frozen teacher, last layer": ("demo_seeds", "frozen_last_layer"),
    "Denoising": ("demo_seeds", "denoising"),
    "Tagging loss": ("demo_seeds", "tagging_0db"),
    "Mixture loss": ("demo_seeds", "mixture_0db"),
    "Tagging and mixture loss (RetainMix)": ("demo_seeds", "both_0db"),
    "RetainMix, 2000 steps instead of 300": ("demo_seeds_2000_steps", "both_0db"),
    "Oracle (mean of clean and noise embeddings)": ("demo_seeds", "oracle"),
}
# label in the README -> (representation, backend) of the study that chose the detector
CHOICE = {
    "Log-mel mean, nearest neighbor": ("log-mel mean", "knn"),
    "Log-mel statistics": ("log-mel statistics as recorded", "whitened"),
    "Log-mel statistics and their changes": ("log-mel statistics as recorded + their changes", "whitened"),
    "RetainMix, layer 4 alone": ("retainmix-beats-tiny, layer 4", "whitened"),
    "RetainMix, the default": (
        "retainmix-beats-tiny, layer 4 + log-mel statistics as recorded, with the changes of both",
        "whitened",
    ),
}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_readme_is_short():
    words = len((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert words <= 900, f"the README has {words} words: move something into docs/"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{name(page)}: {link} does not exist"
        assert not anchor or anchor in anchors(linked), f"{name(page)}: {link} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_write_beside_what_the_repository_holds(page):
    held = {"benchmarks", "docs", "examples", "hub_cards", "modeling_retainmix", "tests"}
    for block in re.findall(r"^```bash\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for output in re.findall(r"--output(?:_dir)?[ =](\S+)", block):
            assert Path(output).parts[0] not in held, f"{name(page)}: {output}"


def test_the_folder_of_the_data_and_how_to_move_it_are_named_where_it_is_explained():
    default = Path(BenchmarkArguments(cpu_threads=1).cache_dir).relative_to(HF_HOME)
    for page in ("training.md", "factory.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        assert f"~/.cache/huggingface/{default}" in text and "--cache_dir" in text


@pytest.mark.parametrize("page", ["README.md", "docs/results.md", "docs/training.md"])
def test_trained_figures_are_said_to_vary_between_processors(page):
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split()).lower()
    assert "within 1 point on other processors" in text or "on other processors within 1 point" in text


def test_table_of_seeds_shows_the_measured_rows():
    tables = [path.stem for path in (ROOT / "benchmarks").glob("demo_seeds*.csv")]
    measured = {
        (table, row["row"], row["figure"]): row
        for table in tables
        for row in csv.DictReader((ROOT / "benchmarks" / f"{table}.csv").open())
    }
    shown = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section("Three seeds").splitlines()
        if line.startswith("|") and "±" in line
    ]
    assert len(shown) == len(ROWS)
    for label, *cells in shown:
        low, everywhere, gain = (measured.get((*ROWS[label], figure)) for figure in figures())
        means = [f"{float(row['mean']):.1f} ± {float(row['std']):.1f}" for row in (low, everywhere)]
        difference = "-"
        if gain is not None and gain["mean"]:
            bounds = (float(gain[column]) for column in ("low", "high"))
            difference = f"{float(gain['mean']):+.1f} [{', '.join(f'{bound:+.1f}' for bound in bounds)}]"
        assert cells[-3:] == [*means, difference], label


def section(heading: str) -> str:
    """A section of docs/results.md."""
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_table_of_the_shipped_student_shows_the_scores_of_its_seeds():
    measured: dict[str, list[list[float]]] = {}
    for row in csv.DictReader((ROOT / "benchmarks" / "shipped_seeds.csv").open(encoding="utf-8")):
        values = [float(row[name]) for name in ("hmean_low", "hmean_all", "mismatch_0_db")]
        measured.setdefault(row["system"], []).append(values)
    rows = [line.strip("|").split("|") for line in section("The shipped student").splitlines() if "±" in line[:200]]
    shown = {cells[0].strip(): [cell.strip() for cell in cells[2:]] for cells in rows if len(cells) == 5}
    labels = {system.key: system.label for system in RUN_SYSTEMS}
    assert list(shown) == [labels[key] for key in measured]
    for key, seeds in measured.items():
        columns = [np.array(values) for values in zip(*seeds, strict=True)]
        expected = [f"{values.mean():.1f} ± {values.std(ddof=1):.1f}" for values in columns]
        assert shown[labels[key]] == expected, key
        assert len(seeds) == 3


def test_table_of_the_readme_shows_the_means_of_the_choice_of_the_detector():
    scores: dict[tuple[str, str, str], list[float]] = {}
    for row in csv.DictReader((ROOT / "benchmarks" / "detector_choice.csv").open(encoding="utf-8")):
        key = row["representation"], row["backend"], row["group"]
        scores.setdefault(key, []).append(float(row["official_score"]))
    shown = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
        if re.match(r"\|.*\d\.\d \|", line)
    ]
    assert [label for label, *_ in shown] == list(CHOICE)
    for label, *cells in shown:
        found = [scores[(*CHOICE[label], group)] for group in ("bldc_motor", "gearbox", "factory")]
        means = [sum(values) / len(values) for values in found]
        assert [float(cell) for cell in cells] == pytest.approx(means, abs=0.06), label


def figures() -> tuple[str, str, str]:
    everywhere = "Hmean {-10, 0, 10}"
    return "Hmean {-10, 0}", everywhere, f"{everywhere} less frozen, same layer"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_modules_that_a_page_names_exist(page):
    text = page.read_text(encoding="utf-8")
    if page.name == "migration.md":  # the first column of its tables holds what is gone
        text = re.sub(r"^\| `(python -m )?modeling_retainmix[^|]*\|", "|", text, flags=re.MULTILINE)
    missing = []
    for dotted in set(re.findall(r"\bmodeling_retainmix(?:\.\w+)+", text)):
        parts = dotted.split(".")
        for size in range(len(parts), 0, -1):  # a module, or an attribute of one
            folder = ROOT.joinpath(*parts[:size])
            file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
            if file.is_file():
                break
        rest = parts[size:]
        if rest and not re.search(rf"\b{rest[0]}\b", file.read_text(encoding="utf-8")):
            missing.append(dotted)
    assert not missing, f"{name(page)} names {', '.join(sorted(missing))}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_a_page_names_exist(page):
    """Paths in backticks below folders of the repository; <name> stands for a file to write."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    paths = re.findall(r"`((?:modeling_retainmix|tests|examples|benchmarks|hub_cards|docs)/[^`\s]*)`", text)
    missing = [path for path in paths if "<" not in path and not list(ROOT.glob(path.rstrip("/")))]
    assert not missing, f"{name(page)} names {', '.join(missing)}"


def test_citation_names_the_version_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    paper = citation["preferred-citation"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    authors = [f"{author['family-names']}, {author['given-names']}" for author in paper["authors"]]
    assert paper["title"] in readme and " and ".join(authors) in readme


def test_every_way_to_check_a_change_runs_the_test_command_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"^make test$", script, re.MULTILINE)
    assert re.search(r"^make test\b", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["test"]
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={job['strategy']['matrix']['python'][0]}"


def test_hooks_run_the_ruff_of_the_environment():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert repository["repo"] == "local"
    assert [hook["entry"].split()[:2] for hook in repository["hooks"]] == [
        [".venv/bin/ruff", "check"],
        [".venv/bin/ruff", "format"],
    ]


def test_install_page_names_every_extra_and_python_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert set(project["optional-dependencies"]) - {"benchmarks"} == set(named)
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    versions = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert f"Python {versions[0]} to {versions[-1]}" in text
    classifiers = [line.split(" :: ")[-1] for line in project["classifiers"] if ":: Python ::" in line]
    assert classifiers == versions
