"""Every number of the model says where it comes from, and the page that lists them is up to date."""

import ast
import os
from pathlib import Path

import equations_page
import pytest


@pytest.mark.parametrize("module", equations_page.modules(), ids=lambda path: path.stem)
def test_every_public_function_of_the_model_has_a_source(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    missing = [f"{module.name}:{f.line} {f.name}" for f in equations_page.functions(tree) if not f.source]
    assert not missing, f"no 'Source:' in the docstring of {', '.join(missing)}"


@pytest.mark.parametrize("module", equations_page.modules(), ids=lambda path: path.stem)
def test_every_public_function_of_the_model_says_what_it_takes(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    silent = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            takes = [a.arg for a in [*node.args.args, *node.args.kwonlyargs] if a.arg != "self"]
            stated = ast.get_docstring(node) or ""
            if takes and stated and "Source:" in stated and "Args:" not in stated:
                silent.append(f"{module.name}:{node.lineno} {node.name}")
    assert not silent, f"no 'Args:' with shapes and units in {', '.join(silent)}"


def test_the_page_of_equations_is_what_the_docstrings_say() -> None:
    page = equations_page.page()
    if os.environ.get("EDGERIG_UPDATE"):
        equations_page.PAGE.write_text(page, encoding="utf-8")
    assert equations_page.PAGE.read_text(encoding="utf-8") == page, (
        "docs/equations.md is old: EDGERIG_UPDATE=1 pytest tests/architecture"
    )
