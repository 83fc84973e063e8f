"""The files that a manifest names: which they are, their hash, and a copy of them that nobody can change unseen."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agents.errors import AgentError

EDGE: Final = "{edge}"
MOST_BYTES: Final = 2**28
MOST_FILES: Final = 1000
PASSED_OVER: Final = "__pycache__"


class FilesError(AgentError):
    """Files cannot be used: which, why, what to do."""


@dataclass(frozen=True)
class Named:
    """What ``file`` of a manifest names: a file, a folder (a Python package), or a file for each edge server.

    Attributes:
        folder: Where it is.
        name: Its name there; with ``{edge}`` in it there is one file an edge server.
    """

    folder: Path
    name: str

    def place(self, edge: int) -> Path:
        """The file or folder for one edge server."""
        return self.folder / self.name.replace(EDGE, str(edge))

    def files(self) -> list[Path]:
        """All of them, sorted.

        Raises: FilesError: there are none, too many, or one that is no plain file.
        """
        whole = self.folder / self.name
        if EDGE in self.name:
            before, after = self.name.split(EDGE, 1)
            every = self.folder.glob(f"{before}*{after}")
            found = [path for path in every if path.name[len(before) : len(path.name) - len(after)].isdecimal()]
        elif whole.is_dir():
            found = [p for p in whole.rglob("*") if PASSED_OVER not in p.parts and (p.is_symlink() or not p.is_dir())]
        else:
            found = [whole]
        odd = [p for p in found if (p.is_symlink() and p != whole) or (p.exists() and not p.is_file())]
        if odd:
            raise FilesError(f"file: {odd[0]} is no plain file; have the files themselves in the folder")
        if not found:
            raise FilesError(f"file: {whole}: no such files; build them first (make)")
        if len(found) > MOST_FILES:
            raise FilesError(f"file: {whole} has more than {MOST_FILES:,} files; name a folder with the agent alone")
        return sorted(found)

    def sha256(self) -> str:
        """Of the one file's bytes; of several the hash of the lines ``<sha256>  <name>``, sorted by name.

        Raises: FilesError: one cannot be read, or they are too large.
        """
        found = self.files()
        digests = {path.relative_to(self.folder).as_posix(): _of(path) for path in found}
        if sum(path.stat().st_size for path in found) > MOST_BYTES:
            raise FilesError(f"file: {self.name} is larger than {MOST_BYTES:,} bytes")
        if found == [self.folder / self.name]:
            return digests.popitem()[1]
        lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    def copied(self, into: Path) -> Named:
        """A copy that can only be read and run; what is there already stays.

        Raises: OSError: there is no room. FilesError: as ``files``.
        """
        for path in self.files():
            copy = into / path.relative_to(self.folder)
            if not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
                copy.chmod(0o555)
        return Named(into, self.name)


def _of(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise FilesError(f"file: {path.name} is larger than {MOST_BYTES:,} bytes")
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise FilesError(f"file: {path}: {error.strerror}; build it first (make)") from None
