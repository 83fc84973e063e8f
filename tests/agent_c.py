"""Builds examples/agent-c, or a variant of it that does something wrong; and finds examples/agent-node."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import zmq  # noqa: TID251 -- where its library is

EXAMPLE = Path(__file__).parents[1] / "examples" / "agent-c"
IN_NODE = Path(__file__).parents[1] / "examples" / "agent-node" / "agent.toml"


def needed(example: str, *programs: str) -> None:
    """Leave a test out where there are not the tools for it; in CI they are there."""
    lacking = [program for program in programs if shutil.which(program) is None]
    if lacking:
        assert not os.environ.get("CI"), f"CI must have {', '.join(lacking)}, for {example}"
        pytest.skip(f"{example} needs {', '.join(lacking)}, which is not here")


def compiled(into: Path, old: str = "", new: str = "") -> Path:
    """The example's manifest, with the agent built beside it; another agent where ``old`` is replaced in its source."""
    needed("examples/agent-c", "gcc", "make")
    for name in ("agent.c", "agent.toml", "Makefile"):
        shutil.copy(EXAMPLE / name, into / name)
    source = (into / "agent.c").read_text()
    assert source.count(old) == 1 or not old
    (into / "agent.c").write_text(source.replace(old, new) if old else source)
    has_libzmq = subprocess.run(["pkg-config", "--exists", "libzmq"], check=False).returncode == 0
    settings = []
    if not has_libzmq:  # pyzmq brings the library, and the file declares what it needs of it
        bundled = Path(zmq.__file__).parents[1] / "pyzmq.libs"
        (library,) = bundled.glob("libzmq*.so*")
        settings = [f"ZMQ={library}", f"RPATH=-Wl,-rpath,{bundled}"]
    made = subprocess.run(["make", "-C", str(into), *settings], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return into / "agent.toml"


def runnable_in_node() -> Path:
    """The manifest of the example in JavaScript."""
    needed("examples/agent-node", "node")
    return IN_NODE
