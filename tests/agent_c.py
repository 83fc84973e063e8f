"""Builds examples/agent-c, or a variant of it that does something wrong; and finds examples/agent-node."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import zmq  # noqa: TID251 -- where its library is

EXAMPLE = Path(__file__).parents[1] / "examples" / "agent-c"
IN_NODE = Path(__file__).parents[1] / "examples" / "agent-node" / "agent.toml"


def compiled(into: Path, old: str = "", new: str = "") -> Path:
    """The example's manifest, with the agent built beside it; another agent where ``old`` is replaced in its source."""
    if shutil.which("gcc") is None or shutil.which("make") is None:
        pytest.skip("no C compiler: gcc and make are needed to build examples/agent-c")
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
    if shutil.which("node") is None:
        pytest.skip("no Node.js: node is needed to run examples/agent-node")
    return IN_NODE
