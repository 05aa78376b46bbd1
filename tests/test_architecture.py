"""The house rules of CONTRIBUTING.md, kept by tests."""

from __future__ import annotations

import ast
import functools
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "med3dinsight"
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py")))
STAGES = ["auditing", "captions", "evaluation", "features", "finetuning", "preparing", "pretraining", "report"]
NO_TORCH = [
    "auditing",
    "cli",
    "datasets",
    "engines",
    "metrics",
    "preparing",
    "report",
    "slices",
    "study",
    "volumes",
    "workspace",
]
#: Rooms that are torch through and through: their packages may import it at once.
ALL_TORCH = ["losses"]

FILE_LINES, FUNCTION_LINES, LOOP_LINES = 300, 60, 90
#: Explicit training loops, "room/file.py:function", that may have up to LOOP_LINES lines.
TRAINING_LOOPS = {"pretraining/loop.py:train"}
MEANINGLESS = {"utils", "util", "helpers", "helper", "common", "misc"}
PLACES = re.compile(r"(?<![\w.~:/-])/(?:home|Users|root|work|tmp)/[\w.-]+")
INDEX_HOSTS = re.compile(r"pypi\.org|pythonhosted\.org|npmjs\.org|download\.pytorch\.org")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def python(code: str, *arguments: str) -> str:
    """Runs code in a fresh process with the package on its path; returns what it printed."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n{code}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def public_definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Public functions and classes of a module, and public methods of its public classes."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from public_definitions(node.body, prefix)


def project_files() -> list[Path]:
    """Text files of the project: what git tracks, or would."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    suffixes = {".py", ".md", ".toml", ".txt", ".cff", ".html", ".js", ".css", ".csv", ".yml", ""}
    paths = [ROOT / line for line in listing.stdout.splitlines()]
    return [path for path in paths if path.suffix in suffixes and path.is_file()]


def test_imports_point_one_way_and_in_no_circles() -> None:
    """The contracts stand in pyproject.toml under [tool.importlinter]."""
    code = "from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); {code}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[done.stdout.find("Contracts") :] + done.stderr


def test_the_layers_in_contributing_are_the_ones_that_are_kept() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    kept = [[room.strip(" ()") for room in layer.split("|")] for layer in layers]
    section = (ROOT / "CONTRIBUTING.md").read_text().split("## Layers")[1]
    drawn = [[room.strip() for room in line.split("|")] for line in section.split("```")[1].split("\n") if line.strip()]
    assert [sorted(layer) for layer in drawn] == [sorted(layer) for layer in kept]


def test_nothing_imports_from_the_root_package_except_the_version() -> None:
    found = []
    for path in MODULES:
        depth = len(path.relative_to(PACKAGE).parts)
        for node in ast.walk(tree_of(path)):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names if alias.name.split(".")[0] == "med3dinsight"]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""] if (node.module or "").split(".")[0] == "med3dinsight" else []
            elif isinstance(node, ast.ImportFrom) and node.level == depth and node.module is None:
                names = [alias.name for alias in node.names if alias.name != "__version__"]
            found += [f"{name_of(path)}:{node.lineno}: {name}" for name in names]  # type: ignore[attr-defined]
    assert not found, "import relatively, and from where it is defined:\n" + "\n".join(found)


def test_light_rooms_and_all_settings_come_up_without_torch() -> None:
    light = [path for path in MODULES if name_of(path).split("/")[0] in NO_TORCH]
    light += [path for path in MODULES if path.name == "config.py"]
    light += [path for path in MODULES if path.name == "__init__.py" and path.parent.name not in ALL_TORCH]
    light += [PACKAGE / name for name in ("records.py", "errors.py", "types.py")]
    names = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in light if path.exists()}
    code = """
import importlib, json
for name in json.loads(sys.argv[1]):
    importlib.import_module(name.removesuffix(".__init__"))
    if "torch" in sys.modules:
        print(name)
        break
"""
    assert python(code, json.dumps(sorted(names))) == "", "this module brings torch at import time"


def test_no_file_has_a_name_that_says_nothing() -> None:
    parts = {part for path in MODULES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert not parts & MEANINGLESS


def test_files_and_functions_are_short() -> None:
    found = []
    for path in MODULES:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > FILE_LINES:
            found.append(f"{name_of(path)}: {lines} lines; at most {FILE_LINES}")
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                lines = node.end_lineno - node.lineno + 1
                most = LOOP_LINES if f"{name_of(path)}:{node.name}" in TRAINING_LOOPS else FUNCTION_LINES
                if lines > most:
                    found.append(f"{name_of(path)}:{node.lineno}: {node.name} has {lines} lines; at most {most}")
    assert not found, "\n".join(found)


def test_training_loops_that_are_allowed_more_lines_exist() -> None:
    for entry in TRAINING_LOOPS:
        file, function = entry.split(":")
        assert function in {
            node.name for node in ast.walk(tree_of(PACKAGE / file)) if isinstance(node, ast.FunctionDef)
        }


def test_files_outside_of_the_package_are_short_too() -> None:
    found = []
    for path in project_files():
        if path.suffix == ".py" and (lines := len(path.read_text(encoding="utf-8").splitlines())) > FILE_LINES:
            found.append(f"{path.relative_to(ROOT)}: {lines} lines; at most {FILE_LINES}")
    assert not found, "split them by idea:\n" + "\n".join(found)


def test_everything_public_has_a_docstring() -> None:
    found = [name_of(path) for path in MODULES if not ast.get_docstring(tree_of(path))]
    for path in MODULES:
        for name, node in public_definitions(tree_of(path).body):
            if not ast.get_docstring(node):
                found.append(f"{name_of(path)}:{node.lineno}: {name}")
    assert not found, "no docstring:\n" + "\n".join(found)


@pytest.mark.parametrize("room", STAGES)
def test_every_stage_has_the_same_two_doors(room: str) -> None:
    """``config.py`` with described settings, ``run.py`` with one public ``run(config, workspace, *, progress)``."""
    tree = tree_of(PACKAGE / room / "run.py")
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert [name for name in functions if not name.startswith("_")] == ["run"]
    arguments = functions["run"].args
    assert [argument.arg for argument in arguments.args] == ["config", "workspace"]
    assert arguments.kwonlyargs[0].arg == "progress"
    assert ast.unparse(functions["run"].returns or ast.Constant(None)).endswith("Result")
    code = """
import importlib, inspect
from med3dinsight.config import StageConfig
module = importlib.import_module(f"med3dinsight.{sys.argv[1]}.config")
models = [value for value in vars(module).values() if inspect.isclass(value) and issubclass(value, StageConfig)
          and value.__module__ == module.__name__]
assert models, "no settings"
for model in models:
    assert model.section, f"{model.__name__} has no section"
    dumb = [name for name, field in model.model_fields.items() if not field.description]
    assert not dumb, f"{model.__name__}: no description of {dumb}"
"""
    python(code, room)


@pytest.mark.parametrize("room", STAGES)
def test_a_stage_can_be_called_by_its_room_however_often_and_whatever_was_imported(room: str) -> None:
    """``room.run`` is the function, and must not be hidden by the submodule ``room/run.py`` once that is loaded."""
    code = """
from importlib import import_module
room = import_module(f"med3dinsight.{sys.argv[1]}")
assert "torch" not in sys.modules
if sys.argv[2] == "submodule first":
    import_module(f"{room.__name__}.run")
assert callable(room.run), "the first time"
assert callable(room.run), "the second time"
assert import_module(f"{room.__name__}.run").run is room.run
"""
    python(code, room, "room first")
    python(code, room, "submodule first")


def test_sections_of_settings_are_one_to_one() -> None:
    sections: dict[str, str] = {}
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "section":
                value = ast.literal_eval(node.value) if node.value is not None else ""
                if value:
                    assert value not in sections, f"[{value}] is the table of {sections[value]} and {name_of(path)}"
                    sections[value] = name_of(path)
    assert sections


def test_the_map_in_the_readme_is_the_list_of_rooms() -> None:
    block = (ROOT / "README.md").read_text().split("```\nsrc/med3dinsight/\n")[1].split("```")[0]
    drawn = [line.split()[0] for line in block.splitlines() if line.strip()]
    folders = {path.name + "/" for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    files = {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("_")}
    assert sorted(drawn) == sorted(folders | files)


def test_tensor_shapes_in_signatures_are_checked_in_test_runs() -> None:
    import torch

    from med3dinsight.losses import infonce

    with pytest.raises(TypeError, match="Type-check"):
        infonce(torch.zeros(2, 3), torch.zeros(4, 3))


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    source = {
        f"med3dinsight/{name_of(path)}" for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"
    }
    assert packed == source


def test_tests_mirror_the_rooms() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("test_*.py"))}
    known = {*ROOMS, "experiments"}
    assert folders <= known, f"no such room: {sorted(folders - known)}"


def test_the_project_speaks_only_of_itself() -> None:
    """No path of somebody's machine, and no address of a package index: both belong to the user."""
    found = []
    for path in project_files():
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for match in (*PLACES.finditer(line), *INDEX_HOSTS.finditer(line)):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match.group()}")
    assert not found, "\n".join(found)
