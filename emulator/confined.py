"""Becomes a program of somebody else's, with less than we have ourselves. Run as a file, by ``emulator.launch``.

Usage: python -I -S confined.py LIMITS FILE ARGV...  LIMITS: JSON of memory_bytes, processor_s, files, file_bytes.

FILE is opened before rights are given up, so that it need not be reachable by whoever runs it; ``{file}`` in ARGV is
that very file, by its descriptor. Nothing here but the standard library: it must start in no time.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import warnings  # noqa: F401 -- for os.execvpe, while we may still read where it is

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
NOBODY = 65534
FILE = "{file}"


def main(arguments: list[str]) -> None:
    """Confine ourselves and go over into the program; only returns by an error."""
    limits, file, argv = json.loads(arguments[0]), arguments[1], arguments[2:]
    launcher = os.getppid()
    descriptor = os.open(file, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    limit(limits)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # After the change of user, which would clear it.
    libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != launcher:
        sys.exit("the launcher is gone already")
    os.umask(0o077)
    # A log that is full takes no more words, and ends nobody; it is the program's to change that for itself.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    place = f"/proc/self/fd/{descriptor}"
    argv = [argument.replace(FILE, place) for argument in argv]
    os.execvpe(argv[0], argv, os.environ)  # noqa: S606 -- an argument list, no shell


def limit(limits: dict[str, float]) -> None:
    """Give up what a manifest's resources do not ask for."""
    for kind, most in (
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_CPU, limits["processor_s"] or resource.RLIM_INFINITY),
        (resource.RLIMIT_NOFILE, limits["files"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_CORE, 0),
    ):
        ceiling = resource.getrlimit(kind)[1]
        most = int(most) if ceiling == resource.RLIM_INFINITY else min(int(most), ceiling)
        resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    main(sys.argv[1:])
