"""The command ``edgerig``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run a command; a child process of a run takes the short way, without the command line's libraries."""
    arguments = sys.argv[1:]
    if arguments[:2] == ["node", "start"]:
        from emulator.start import main as start

        sys.exit(start(arguments[2:]))
    from emulator.cli import run_command

    sys.exit(run_command(arguments))


if __name__ == "__main__":
    main()
