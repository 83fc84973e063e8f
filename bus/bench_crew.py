"""The child processes of a bench: spawned, spoken to over pipes, each answer with a deadline, none left behind."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import signal
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from bus.errors import PeerLost

SILENCE_S: Final = 60.0
_PARENT_DEATH_SIGNAL: Final = 1  # PR_SET_PDEATHSIG of Linux

Main = Callable[..., None]


class Crew:
    """Children that each run ``main(pipe, *arguments)``; they end when the block is left, however it is left.

    Raises: PeerLost: a child ended, failed (the text is its traceback's last line) or kept silent.
    """

    def __init__(self, main: Main, arguments: Mapping[str, Sequence[Any]]) -> None:
        """Describe the children.

        Args:
            main: A module's function, since children are spawned and not forked.
            arguments: What each child is called with after its pipe, by the child's name.
        """
        self.names = list(arguments)
        self._main = main
        self._arguments = dict(arguments)
        self._children: dict[str, tuple[SpawnProcess, Connection]] = {}

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        try:
            for name, arguments in self._arguments.items():
                ours, theirs = context.Pipe()
                child = context.Process(
                    target=_run, args=(theirs, self._main, *arguments), name=f"bench-{name}", daemon=True
                )
                child.start()
                theirs.close()
                self._children[name] = child, ours
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        """Kill whoever is left; idempotent."""
        for child, _ in self._children.values():
            child.kill()
        for child, pipe in self._children.values():
            child.join()
            pipe.close()
        self._children.clear()

    def pids(self) -> dict[str, int]:
        """The children's process ids, by name."""
        return {name: child.pid for name, (child, _) in self._children.items() if child.pid is not None}

    def cpu_s(self) -> float:
        """CPU time of all threads of all children, as the scheduler counts it."""
        tasks = (task for pid in self.pids().values() for task in Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def tell(self, word: Any, *names: str) -> None:
        """Send a word to some children; to all, if none is named."""
        for name in names or self.names:
            try:
                self._children[name][1].send(word)
            except OSError:
                raise PeerLost(name, "it ended") from None

    def hear(self, name: str, silence_s: float = SILENCE_S) -> Any:
        """The next answer of a child."""
        pipe = self._children[name][1]
        try:
            if not pipe.poll(silence_s):
                raise PeerLost(name, f"no answer in {silence_s:g} s")
            kind, answer = pipe.recv()
        except (EOFError, ConnectionError):
            raise PeerLost(name, "it ended") from None
        if kind == "failed":
            raise PeerLost(name, answer)
        return answer

    def ask(self, word: Any, *names: str, silence_s: float = SILENCE_S) -> dict[str, Any]:
        """Send a word and collect the answers, by name."""
        self.tell(word, *names)
        return {name: self.hear(name, silence_s) for name in names or self.names}


class Line:
    """A child's end of its pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def answer(self, value: Any) -> None:
        """Answer the parent."""
        self._pipe.send(("answer", value))

    def word(self) -> Any:
        """What the parent says next; the parent's end ends the child, so there is no deadline."""
        return self._pipe.recv()

    def said(self) -> bool:
        """Whether the parent has said a word; it is taken, and not kept."""
        if not self._pipe.poll():
            return False
        self._pipe.recv()
        return True


def _run(pipe: Connection, main: Main, *arguments: Any) -> None:
    """The child: dies with its parent, and leaves Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    try:
        main(Line(pipe), *arguments)
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001 -- the parent raises it
        at = traceback.extract_tb(error.__traceback__)[-1]
        pipe.send(("failed", f"{type(error).__name__}: {error} ({at.filename}:{at.lineno})"))


def settle() -> None:
    """What a child is built of is no garbage: nobody's measurement pays for walking it."""
    gc.collect()
    gc.freeze()
