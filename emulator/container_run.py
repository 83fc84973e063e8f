"""A run in containers seen from outside: the engine's own command on a compose file, as a person types it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

COMMAND_S: Final = 300.0
QUERY_S: Final = 10.0


class EngineFailed(Exception):
    """There is no container engine here, or a command of it failed; one line says which, and why."""


def engine(*command: str, cwd: Path, timeout_s: float = COMMAND_S, env: Mapping[str, str] | None = None) -> str:
    """Run a command, and return what it prints.

    Raises: EngineFailed: it cannot be run, or does not end with 0 in time.
    """
    if shutil.which(command[0]) is None:
        raise EngineFailed(f"{command[0]}: not found; install Docker with Compose")
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EngineFailed(f"{' '.join(command)}: not done after {timeout_s:g} s") from None
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "it says nothing").splitlines()[-1]
        error = EngineFailed(f"{' '.join(command)}: exit code {done.returncode}: {last}")
        error.add_note(f"{done.stdout}\n{done.stderr}")  # a traceback shows all of it
        raise error
    return done.stdout


class ContainerRun:
    """The containers of one compose project."""

    def __init__(self, name: str, files: Sequence[Path], env: Mapping[str, str]) -> None:
        """Start nothing yet.

        Args:
            name: Of the project. files: Compose files, the shipped one first. env: Variables that they read.
        """
        self.name, self.files, self.env = name, tuple(files), dict(env)

    def compose(self, *arguments: str, timeout_s: float = COMMAND_S) -> str:
        """A command of Compose.

        Raises: EngineFailed: it fails.
        """
        files = [part for file in self.files for part in ("-f", str(file))]
        command = ("docker", "compose", *files, "-p", self.name, *arguments)
        return engine(*command, cwd=self.files[0].parent, timeout_s=timeout_s, env=self.env)

    def docker(self, *arguments: str) -> str:
        """A command of the engine.

        Raises: EngineFailed: it fails.
        """
        return engine("docker", *arguments, cwd=self.files[0].parent)

    def containers(self, service: str) -> list[str]:
        """Ids of a service's containers, also of those that have ended."""
        return self.compose("ps", "-aq", service).split()

    def inside(self, service: str, *command: str) -> str:
        """Run a command in the first container of a service."""
        return self.compose("exec", "-T", service, *command)

    def series(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """What Prometheus answers now: labels and value of each series.

        Raises: OSError: it does not answer.
        """
        where = self.compose("port", "prometheus", "9090").strip()
        url = f"http://{where}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(url, timeout=QUERY_S) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def folder(self, to: Path) -> Path:
        """The newest run folder, copied out of the hub's container.

        Args: to: A folder that is made.
        """
        self.compose("cp", "hub:/edgerig/runs", str(to))
        return max((path for path in to.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)

    def down(self) -> None:
        """Remove containers, also those of single commands, networks and volumes."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "3")
