"""The shape of the package: which folder may import which, no circles, no overgrown file, no doubled block."""

import ast
import hashlib
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "modeling_retainmix"

# A folder or top-level module may import what stands in a lower row, and its own folder. Equal rows do not know
# each other.
LEVELS = {
    "encoders": 0,
    "metrics": 0,
    "hub": 2,
    "conversion": 2,
    "data": 2,
    "detection": 3,
    "export": 4,
    "reports": 4,
    "watching": 5,
    "evaluation": 5,
    "training": 6,
}
TOP_LEVEL_MODULE = 1
# Folders whose rooms use the core beside them, never the other way round
INNER = {"evaluation": ("paper", "challenge", "studies"), "detection": ("backends",), "data": ("layouts", "factory")}
LONGEST_FILE = 400
BLOCK = 6
# Lines of imports and of lists of names: two files that need the same names have them in common.
LISTED_NAME = re.compile(r"(import|from) .*|[\w\"*]+,|[)\]]|\w+ = [(\[]")


def sources():
    return sorted(path for path in PACKAGE.rglob("*.py") if "metrics/dcase_score" not in path.as_posix())


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path, modules):
    """Modules of the package that a file imports when it is itself imported; imports inside functions run later."""
    found = set()

    def visit(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ImportFrom) and child.module and child.module.startswith("modeling_retainmix"):
                for alias in child.names:
                    inner = f"{child.module}.{alias.name}"
                    found.add(inner if inner in modules else child.module)
            elif isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names if alias.name.startswith("modeling_retainmix."))
            elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


@pytest.fixture(scope="module")
def graph():
    modules = {module_name(path): path for path in sources()}
    return {name: imported_modules(path, modules) - {name} for name, path in modules.items()}


def signature_lines(text):
    """Numbers of the lines of signatures: two classes with the same methods have them in common."""
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    starts = [min([node.lineno, *(line.lineno for line in node.decorator_list)]) for node in functions]
    return {
        number for node, start in zip(functions, starts, strict=True) for number in range(start, node.body[0].lineno)
    }


def level(module):
    parts = module.split(".")
    if len(parts) == 1:
        return max(LEVELS.values()) + 1  # the package itself hands out the public names
    return LEVELS.get(parts[1], TOP_LEVEL_MODULE)


def test_when_a_module_imports_another_then_the_arrow_points_down(graph):
    upward = [
        f"{module} -> {other}"
        for module, others in graph.items()
        for other in others
        if module != "modeling_retainmix"
        and module.split(".")[1:2] != other.split(".")[1:2]
        and level(other) >= level(module)
        and not (level(other) == level(module) == TOP_LEVEL_MODULE)
    ]
    assert upward == []


def test_when_modules_import_each_other_then_there_is_no_circle(graph):
    done, path = set(), []

    def walk(module):
        if module in path:
            pytest.fail(" -> ".join([*path[path.index(module) :], module]))
        if module in done:
            return
        path.append(module)
        for other in sorted(graph.get(module, ())):
            walk(other)
        done.add(path.pop())

    for module in sorted(graph):
        walk(module)


def test_when_the_core_of_the_evaluation_is_imported_then_no_room_of_it_is(graph):
    upward = [
        f"{module} -> {other}"
        for module, others in graph.items()
        for other in others
        if module.startswith("modeling_retainmix.evaluation.")
        and module.split(".")[2] not in INNER["evaluation"]
        and other.split(".")[2:3]
        and other.split(".")[1] == "evaluation"
        and other.split(".")[2] in INNER["evaluation"]
    ]
    assert upward == []


def test_when_a_file_is_read_then_it_ends_before_line_400():
    long = {path.name: n for path in sources() if (n := len(path.read_text().splitlines())) > LONGEST_FILE}
    assert long == {}


def test_when_a_folder_is_opened_then_its_docstring_says_what_it_answers():
    silent = [
        str(path.relative_to(ROOT))
        for path in PACKAGE.rglob("__init__.py")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_when_six_lines_stand_in_the_package_then_they_stand_there_once():
    places = defaultdict(list)
    for path in sources():
        text = path.read_text(encoding="utf-8")
        signatures = signature_lines(text)
        lines = [line.strip() for line in text.splitlines()]
        numbered = [(number, line) for number, line in enumerate(lines, 1) if line and number not in signatures]
        for start in range(len(numbered) - BLOCK + 1):
            block = [line for _, line in numbered[start : start + BLOCK]]
            if all(LISTED_NAME.fullmatch(line) for line in block):
                continue
            digest = hashlib.sha256("\n".join(block).encode()).hexdigest()
            places[digest].append(f"{path.relative_to(ROOT)}:{numbered[start][0]}")
    assert [found for found in places.values() if len(found) > 1] == []


def test_when_the_encoders_are_pushed_then_they_need_nothing_of_this_package():
    needed = {
        other
        for path in (PACKAGE / "encoders").glob("*.py")
        if path.name != "__init__.py"
        for other in imported_modules(path, {})
        if not other.startswith("modeling_retainmix.encoders")
    }
    assert needed == set()
