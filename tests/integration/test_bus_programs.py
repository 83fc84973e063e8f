"""The talker and the listener of the documentation, as a reader starts them; short as promised."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from live_run import PATIENCE_S, ROOT, until

pytestmark = pytest.mark.processes

EXAMPLES = ROOT / "examples" / "talker"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    children: list[subprocess.Popen[str]] = []

    def begin(*words: str, hub: str = "") -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "EDGERIG_HUB": hub}
        child = subprocess.Popen(
            [sys.executable, *words], cwd=tmp_path, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        children.append(child)
        return child

    yield begin
    for child in children:
        child.kill()
        child.communicate()


def line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


def hub(start: Start) -> tuple[subprocess.Popen[str], str]:
    child = start("-m", "emulator", "hub")
    found = re.fullmatch(r"export EDGERIG_HUB=(tcp://\S+)\n", line(child.stdout))
    assert found is not None
    return child, found[1]


def finished(child: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = child.communicate(timeout=PATIENCE_S)
    return child.returncode, out, err


def test_a_talker_and_a_listener_fit_in_twenty_lines_each() -> None:
    for name in ("talker.py", "listener.py"):
        assert len((EXAMPLES / name).read_text().splitlines()) <= 20


def test_the_documentation_shows_them_as_they_are() -> None:
    page = (ROOT / "docs" / "bus.md").read_text()
    for name in ("words.py", "talker.py", "listener.py"):
        assert (EXAMPLES / name).read_text().strip() in page, name


def test_a_listener_hears_a_talker_and_the_tools_see_both(start: Start, tmp_path: Path) -> None:
    roscore, address = hub(start)
    talker = start(str(EXAMPLES / "talker.py"), hub=address)
    listener = start(str(EXAMPLES / "listener.py"), "--name", "ear", "--namespace", "/lab", hub=address)
    remapped = start(str(EXAMPLES / "listener.py"), "--namespace", "/lab", "--remap", "chatter:=/chatter", hub=address)
    words = [line(remapped.stdout).split() for _ in range(3)]
    assert [said[:3] for said in words] == [["/lab/listener", "heard", "hello"]] * 3
    counts = [int(said[3]) for said in words]
    assert counts == [counts[0], counts[0] + 1, counts[0] + 2]

    def listed() -> Any:
        code, out, _ = finished(start("-m", "emulator", "node", "list"))
        return code == 0 and {"/talker", "/lab/listener", "/lab/ear"} <= set(out.split())

    until(listed, "all of them are listed")
    code, out, err = finished(start("-m", "emulator", "topic", "echo", "/chatter", "--once"))
    assert (code, err) == (0, "")
    assert "text: hello" in out
    code, _, err = finished(start("-m", "emulator", "topic", "pub", "/chatter", '{"text": "by hand", "count": 7}'))
    assert (code, "published 1 on /chatter" in err) == (0, True), err
    until(lambda: line(remapped.stdout).split()[2:] == ["by", "hand", "7"], "the listener hears what is said by hand")
    talker.send_signal(signal.SIGINT)
    assert finished(talker)[0] == 0
    roscore.send_signal(signal.SIGINT)
    assert finished(roscore)[0] == 0
    assert [finished(child)[0] for child in (listener, remapped)] == [0, 0]
    assert not list(tmp_path.glob("runs/hub*"))


def test_a_program_whose_types_differ_ends_with_one_line(start: Start, tmp_path: Path) -> None:
    source = (
        "import sys\nfrom bus.messages import Message\nfrom bus.topics import TopicSpec\n"
        "from bus.program import program\n"
        "class Inner(Message, frozen=True):\n    {field}: int\n"
        "class Outer(Message, frozen=True):\n    inner: Inner\n"
        "with program('{name}', [TopicSpec('{name}/said', Outer)]) as node:\n    node.publisher('{name}/said')\n"
    )
    for name, field in (("first", "metres"), ("second", "feet")):
        (tmp_path / f"{name}.py").write_text(source.format(name=name, field=field))
    roscore, address = hub(start)
    first = start(str(tmp_path / "first.py"), hub=address)
    until(lambda: "/first" in finished(start("-m", "emulator", "node", "list", hub=address))[1], "the first is there")
    ended, out, err = finished(start(str(tmp_path / "second.py"), hub=address))
    assert (ended, out, len(err.splitlines())) == (3, "", 1), err
    assert re.match(r"second: the hub does not take second-\d+: Outer .* has another schema than that of first-", err)
    for child in (roscore, first):
        child.send_signal(signal.SIGINT)
        assert finished(child)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "address", "code", "said"),
    [
        ((), "", 2, "no hub; give --hub"),
        ((), "tcp://127.0.0.1:9", 3, "did not answer lease"),
        (("--name", "a b"), "tcp://127.0.0.1:9", 2, "' ' is not allowed"),
        (("--remap", "chatter"), "tcp://127.0.0.1:9", 2, "must be FROM:=TO"),
    ],
)
def test_a_program_that_cannot_start_says_so_in_one_line(
    start: Start, arguments: tuple[str, ...], address: str, code: int, said: str
) -> None:
    ended, out, err = finished(start(str(EXAMPLES / "talker.py"), *arguments, hub=address))
    assert (ended, out) == (code, "")
    assert said in err
    assert "Traceback" not in err
