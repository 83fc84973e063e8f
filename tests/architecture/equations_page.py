"""Gathers ``docs/equations.md`` from the ``Source:`` lines of the model."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "emulator" / "model"
PAGE = ROOT / "docs" / "equations.md"

HEAD = """# Where every number comes from

Each function of `emulator/model`, with the equation, algorithm line or reason behind it. "Ours" marks what the papers
leave open. Gathered from the docstrings; `EDGERIG_UPDATE=1 pytest tests/architecture` writes it anew.
"""


class Stated(NamedTuple):
    """A public function and what its docstring says."""

    name: str
    line: int
    docstring: str

    @property
    def summary(self) -> str:
        return " ".join(self.docstring.split("\n\n")[0].split())

    @property
    def source(self) -> str:
        found = re.search(r"^Source: (.*?)(?=\n\s*\n|\n\w+:|\Z)", self.docstring, re.DOTALL | re.MULTILINE)
        return " ".join(found[1].split()) if found else ""


def modules() -> list[Path]:
    return sorted(path for path in MODEL.glob("*.py") if path.name != "__init__.py")


def functions(tree: ast.Module) -> Iterator[Stated]:
    """Public functions and methods, not properties, in the order of the file."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield Stated(node.name, node.lineno, ast.get_docstring(node) or "")
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_") and not _is_property(inner):
                    yield Stated(f"{node.name}.{inner.name}", inner.lineno, ast.get_docstring(inner) or "")


def _is_property(function: ast.FunctionDef) -> bool:
    return any(isinstance(mark, ast.Name) and mark.id == "property" for mark in function.decorator_list)


def page() -> str:
    parts = [HEAD]
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        about = " ".join((ast.get_docstring(tree) or "").split("\n\n")[0].split())
        parts.append(f"\n## {path.stem}\n\n{about}\n\n| function | what | source |\n|---|---|---|\n")
        parts += [
            f"| `{stated.name}` | {_cell(stated.summary)} | {_cell(stated.source)} |\n" for stated in functions(tree)
        ]
    return "".join(parts)


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|")
