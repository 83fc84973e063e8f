"""The house rules that no linter knows: sizes, names, who may import what and when."""

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("agents", "bus", "emulator", "monitoring")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
WORLD = sorted((ROOT / "emulator" / "model").glob("*.py"))
VAGUE = {"utils", "util", "helpers", "common", "core", "base", "manager", "misc"}
HEAVY = {"numba", "torch", "onnx", "cvxpy", "clarabel", "onnxruntime", "pettingzoo", "gymnasium", "scipy", "matplotlib"}
ONLY_IN = {
    "zmq": "bus",
    "prometheus_client": "monitoring",
    "torch": "agents",
    "onnx": "agents",
    "cvxpy": "agents",
    "onnxruntime": "agents",
}
MOST_LINES = 400
TABLES = {"bus/messages.py": 1000}
"""Every message is declared in one place, a reader looks one up rather than reading on."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(nodes: list[ast.stmt] | list[ast.AST]) -> Iterator[str]:
    """Dotted names that some statements import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def roots(nodes: list[ast.stmt] | list[ast.AST]) -> set[str]:
    return {name.split(".")[0] for name in imported(nodes)}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_can_be_read_in_one_sitting(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= TABLES.get(name_of(path), MOST_LINES), (
        f"{name_of(path)} has {lines} lines; split it by what it does"
    )


def test_a_name_says_what_a_module_does() -> None:
    stems = {name_of(path): path.stem.strip("_") for path in MODULES}
    vague = [name for name, stem in stems.items() if stem in VAGUE]
    assert not vague, f"name these for what they do: {', '.join(vague)}"
    shadowing = [name for name, stem in stems.items() if stem in sys.stdlib_module_names]
    assert not shadowing, f"named like a module of the standard library: {', '.join(shadowing)}"


def test_no_two_modules_of_tests_have_one_name() -> None:
    """Tests are no packages, so the second of a name cannot be collected beside the first."""
    stems = [path.stem for path in (ROOT / "tests").rglob("*.py") if path.stem != "conftest"]
    assert not (twice := {stem for stem in stems if stems.count(stem) > 1}), f"rename one: {', '.join(sorted(twice))}"


def test_there_is_no_fifth_import_package() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert found == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_our_import_names_are_ours(package: str) -> None:
    owners = set(metadata.packages_distributions().get(package, ())) - {"edgerig"}
    assert not owners, (
        f"{', '.join(owners)} also installs a package {package!r}; give edgerig an environment of its own"
    )
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(ROOT), f"import {package} finds {spec.origin}, not this checkout"


@pytest.mark.parametrize("path", WORLD, ids=name_of)
def test_the_model_is_numpy_and_nothing_else(path: Path) -> None:
    allowed = {"numpy", "emulator", "__future__"} | ({"numba"} if path.stem.endswith("_numba") else set())
    foreign = roots(list(ast.walk(tree_of(path)))) - allowed - set(sys.stdlib_module_names)
    assert not foreign
    inside = [name for name in imported(list(ast.walk(tree_of(path)))) if name.startswith("emulator.")]
    assert all(name.startswith("emulator.model") for name in inside)


@pytest.mark.parametrize("path", [path for path in MODULES if not path.stem.endswith("_numba")], ids=name_of)
def test_compiled_modules_are_imported_only_when_asked_for(path: Path) -> None:
    eager = [name for name in imported(tree_of(path).body) if "_numba" in name or name.split(".")[0] == "numba"]
    assert not eager, f"{name_of(path)} imports {', '.join(eager)} at its top; numba is an extra"


@pytest.mark.parametrize("path", WORLD, ids=name_of)
def test_the_model_asks_no_clock_and_no_global_dice(path: Path) -> None:
    tree = tree_of(path)
    assert not roots(list(ast.walk(tree))) & {"time", "datetime", "random", "secrets", "os"}
    if path.stem != "streams":
        drawn = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr == "random" and ast.unparse(node.value) == "np"
        ]
        assert not drawn, "random numbers come from emulator.model.streams"


@pytest.mark.parametrize(
    "name",
    [
        "offloading",
        "serving",
        "serving_numba",
        "ledger",
        "queueing",
        "arrivals",
        "rental",
        "radio",
        "mobility",
        "graph",
    ],
)
def test_the_worlds_numbers_use_no_sum_whose_order_is_not_ours(name: str) -> None:
    for node in ast.walk(tree_of(ROOT / "emulator" / "model" / f"{name}.py")):
        assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult))
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"dot", "einsum", "matmul", "inner", "tensordot", "vdot"}


def test_a_stack_lives_where_it_belongs() -> None:
    misplaced = [
        f"{name_of(path)} imports {stack}"
        for path in MODULES
        for stack in roots(list(ast.walk(tree_of(path)))) & set(ONLY_IN)
        if path.relative_to(ROOT).parts[0] != ONLY_IN[stack]
    ]
    assert not misplaced


@pytest.mark.parametrize("module", ["emulator.world", "emulator.scenario_file", "agents.rollout", "agents.baselines"])
def test_extras_stay_out_until_they_are_needed(module: str) -> None:
    program = f"import sys, {module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == ""


def test_functions_are_short() -> None:
    lengths = sorted(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert lengths[int(0.9 * len(lengths))] <= 40, "nine functions in ten keep within 40 lines"


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    links = [(page, to) for page in pages for to in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())]
    near = [(page, to) for page, to in links if "://" not in to]
    assert len(near) > 20
    assert [f"{name_of(page)}: {to}" for page, to in near if not (page.parent / to).exists()] == []
