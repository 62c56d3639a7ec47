"""The layers of the package, checked by reading the imports; and the conventions that every module keeps."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import tenfold

PACKAGE = Path(tenfold.__file__).parent
TORCH_PACKAGE = "torch_engine"
ROOT = Path(__file__).parents[2]
MOST_ROWS = 20


def module_name(path: Path) -> str:
    """ "training.loop" for src/tenfold/training/loop.py, "" for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def package_of(module: str) -> str:
    return module.partition(".")[0]


def read_map() -> list[list[str]]:
    """The rows of the table in CONTRIBUTING.md: packages and modules, the lowest first."""
    lines = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("| packages and modules | contents |") + 2
    rows = itertools.takewhile(lambda line: line.startswith("|"), lines[start:])
    return [re.findall(r"`(\w+)/?`", row.split("|")[1]) for row in rows]


MAP = read_map()
LAYER_OF = {place: layer for layer, places in enumerate(MAP) for place in places} | {"__main__": len(MAP)}


def runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes, inside functions too, but not what only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield other
                yield from runtime_nodes(other)
            continue
        yield node
        yield from runtime_nodes(node)


@functools.cache
def imported(path: Path) -> set[str]:
    """Whole names of the modules that a file imports, or names in a string for a later import."""
    found = set()
    for node in runtime_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner.removeprefix("tenfold.") in FILES else str(node.module))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            if text.startswith("tenfold.") and text.removeprefix("tenfold.") in FILES:
                found.add(text)
    return found


def own_imports(module: str) -> set[str]:
    names = {name for name in imported(FILES[module]) if name.partition(".")[0] == "tenfold"}
    return {name.removeprefix("tenfold").removeprefix(".") for name in names} - {module}


def allowed(module: str, other: str) -> bool:
    one, two = package_of(module), package_of(other)
    return one == two or not one or (bool(two) and LAYER_OF[two] <= LAYER_OF[one])


def test_the_map_names_every_package_and_module_once() -> None:
    places = [place for row in MAP for place in row]
    there = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert len(MAP) <= MOST_ROWS
    assert sorted(places) == sorted(there - {"__init__", "__main__", "__pycache__"})


@pytest.mark.parametrize("module", FILES)
def test_imports_only_from_the_rows_above(module: str) -> None:
    wrong = [f"{module} -> {other}" for other in sorted(own_imports(module)) if not allowed(module, other)]
    assert not wrong


def test_no_cycle_anywhere() -> None:
    graph = {module: own_imports(module) for module in FILES}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


def test_the_reader_of_imports_sees_what_it_should(tmp_path: Path) -> None:
    """The test itself: it must see imports in functions and strings, and not those for type checkers."""
    path = tmp_path / "module.py"
    path.write_text(
        "from typing import TYPE_CHECKING\n"
        "import tenfold.errors\n"
        "from tenfold import numerics\n"
        "if TYPE_CHECKING:\n    from tenfold.arrays import Batch\n"
        "def f():\n    from tenfold.training.loop import train\n"
        "    return import_module('tenfold.torch_engine.engine')\n"
    )
    assert imported(path) == {
        "typing",
        "tenfold.errors",
        "tenfold.numerics",
        "tenfold.training.loop",
        "tenfold.torch_engine.engine",
    }
    assert not allowed("arrays", "training.loop") and not allowed("recipes.load", "data.load")
    assert allowed("training.loop", "arrays") and allowed("", "cli")


@pytest.mark.parametrize("module", FILES)
def test_torch_is_imported_in_one_package(module: str) -> None:
    roots = {name.partition(".")[0] for name in imported(FILES[module])}
    if package_of(module) not in (TORCH_PACKAGE, "export"):
        assert "torch" not in roots
    if package_of(module) == "numpy_engine":
        scipy = {"scipy"} if module == "numpy_engine.layers" else set()  # its erf, where GELU asks for it
        assert roots <= {"tenfold", "numpy", *scipy, *sys.stdlib_module_names}


@pytest.mark.parametrize("chapter", ["layers", "network", "losses", "optimisers"])
def test_the_mathematics_of_the_numpy_engine_knows_no_threads(chapter: str) -> None:
    """It takes memory and products from the runtime, which in turn know no layer."""
    below = {f"numpy_engine.runtime.{name}" for name in ("memory", "products")}
    used = own_imports(f"numpy_engine.{chapter}")
    assert {name for name in used if name.startswith("numpy_engine.runtime")} <= below
    assert "thread" not in FILES[f"numpy_engine.{chapter}"].read_text(encoding="utf-8")
    for module in below:
        others = {name for name in own_imports(module) if name.startswith("numpy_engine")}
        assert all(name.startswith("numpy_engine.runtime.") for name in others), module


def declared(module: str) -> list[str]:
    """`__all__` of a module; none stands for no name."""
    for node in ast.parse(FILES[module].read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def used_elsewhere() -> dict[str, set[str]]:
    """module -> names that other packages import from it, types included, or use as `module.name`."""
    used: dict[str, set[str]] = {module: set() for module in FILES}
    for module, path in FILES.items():
        tree, modules = ast.parse(path.read_text(encoding="utf-8")), {}
        for node in ast.walk(tree):
            for alias in node.names if isinstance(node, ast.ImportFrom) else ():
                source = str(node.module).removeprefix("tenfold").removeprefix(".")
                inner = f"{source}.{alias.name}".removeprefix(".")
                if inner in FILES:
                    modules[alias.asname or alias.name] = inner
                elif source in used and package_of(source) != package_of(module):
                    used[source].add(alias.name)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                source = modules.get(node.value.id, module)
                if package_of(source) != package_of(module):
                    used[source].add(node.attr)
    return used


USED_ELSEWHERE = used_elsewhere()


@pytest.mark.parametrize("module", [module for module in FILES if module not in ("", "__main__")])
def test_all_names_what_other_packages_use(module: str) -> None:
    if package_of(module) == TORCH_PACKAGE:
        pytest.importorskip("torch")
    names = declared(module)
    assert len(names) == len(set(names)) and set(names) == USED_ELSEWHERE[module]
    loaded = importlib.import_module(f"tenfold.{module}")
    assert not [name for name in names if not hasattr(loaded, name)]


@pytest.mark.parametrize("module", FILES)
def test_sizes(module: str) -> None:
    """Files under 400 lines, functions of at most forty (the signature of a command aside)."""
    text = FILES[module].read_text(encoding="utf-8")
    assert text.count("\n") < 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            lines = (node.end_lineno or 0) - node.body[0].lineno + 1
            assert lines <= 40, f"{module}.{node.name} has {lines} lines"


def test_lazy_names_of_the_package() -> None:
    assert set(dir(tenfold)) == set(tenfold.__all__)
    for name in tenfold.__all__:
        assert getattr(tenfold, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tenfold.nothing  # noqa: B018


@pytest.mark.parametrize(
    "arguments", [None, [], ["--help"], ["--version"], ["recipes"], ["recipes", "show", "cnn"]], ids=str
)
def test_what_must_be_light_leaves_torch_alone(arguments: list[str] | None) -> None:
    """In a fresh interpreter: neither torch nor matplotlib, and for the help no SciPy, PIL or pydantic."""
    lines = ["import sys", "import tenfold"]
    if arguments is not None:
        lines += [
            "from tenfold.cli import main",
            f"sys.argv = ['tenfold', *{arguments!r}]",
            "try:\n    main()\nexcept SystemExit as end:\n    assert end.code in (0, 2), end.code",
        ]
    heavy = ["torch", "matplotlib", "mlxtend", "sklearn"]
    if arguments in (None, [], ["--help"], ["--version"]):
        heavy += ["scipy", "PIL", "pydantic", "numpy"]
    lines.append(f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)")
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stderr.splitlines()[-1] == "[]"
