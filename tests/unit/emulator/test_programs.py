"""Agents that are programs: their manifests, their processes in the plan, and what is left to them when they run."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from live_run import until
from thread_run import small

from agents.errors import AgentError
from agents.host import class_in
from agents.manifest import Manifest, Resources, State, load, load_programs, warning_of
from agents.policy import per_edge_specs
from bus.keystore import Keystore
from emulator.launch import Child, Launcher, started
from emulator.layout import groups
from emulator.programs import command_of
from emulator.specs import programs_of, with_whole_paths

ROOT = Path(__file__).parents[3]
GOOD = """
name = "toy"
version = "1"
protocol = 1
world = "offloading"
kind = "exec"
file = "toy.sh"
command = ["sh", "{file}"]
"""


def written(folder: Path, text: str = GOOD, script: str = "true\n") -> Path:
    (folder / "toy.sh").write_text(script)
    (folder / "agent.toml").write_text(text)
    return folder / "agent.toml"


def test_a_manifest_is_read_and_its_file_hashed(tmp_path: Path) -> None:
    found = load(written(tmp_path))
    assert (found.manifest.name, found.manifest.max_rate_hz, found.manifest.resources) == ("toy", 20.0, Resources())
    assert len(found.sha256) == 64
    assert load(written(tmp_path, GOOD + f'sha256 = "{found.sha256}"\n')).sha256 == found.sha256


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("protocol = 1", "protocol = 2", "protocol: is 2, but edgerig speaks 1"),
        ('"toy.sh"', '"gone"', "No such file or directory; build it first"),
        ('["sh", "{file}"]', '["sh"]', r"command: must have \{file\} in it"),
        ('"exec"', '"docker"', "Invalid enum value 'docker'"),
        ('name = "toy"', 'nmae = "toy"', "nmae|name"),
        ('version = "1"', "version = ", "Invalid value|agent.toml"),
        ('"toy.sh"', '"toy-{edge}.sh"', "only ONNX files may differ by edge server"),
        ('"toy.sh"', '"."', "is a folder; only a Python package may be one"),
        ('"exec"', '"onnx"\nfactory = "A"', "factory: goes with kind python"),
        ('"exec"', '"python"', "factory: goes with kind python"),
        ('"1"', '"1"\nfactory = "A"', "factory: goes with kind python"),
        ('"1"', f'"1"\nsha256 = "{"a" * 64}"', "it is another file than the manifest means"),
        ('"1"', '"1"\n[resources]\nmemory_bytes = 1', "memory_bytes"),
    ],
)
def test_a_bad_manifest_is_refused_in_one_line_that_names_it(tmp_path: Path, old: str, new: str, text: str) -> None:
    good = GOOD if "[resources]" not in new else GOOD.replace(old, '"1"') + "[resources]\nmemory_bytes = 1\n"
    path = written(tmp_path, good if "[resources]" in new else GOOD.replace(old, new))
    with pytest.raises(AgentError, match=text) as refused:
        load(path)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_a_program_of_the_other_world_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    load_programs([f"exec:{path}", "popularity"], "offloading")
    with pytest.raises(AgentError, match="world: is offloading, but the scenario's is rental"):
        load_programs([str(path)], "rental")


def test_specs_name_programs_by_manifest_and_each_has_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)
    monkeypatch.chdir(tmp_path)
    policy = with_whole_paths("1=agent.toml,0=random,popularity")
    assert policy == f"1=exec:{path},0=random,popularity"
    assert per_edge_specs(policy, 3) == ["random", f"exec:{path}", "popularity"]
    assert programs_of(policy, 3) == {1: path}
    assert programs_of("popularity", 3) == {}
    scenario = small(agent={"policy": policy}, processes={"agent": 1})
    agents = [(g.name, g.first, g.count, g.program) for g in groups(scenario) if g.kind == "agent"]
    assert agents == [("agent-0", 0, 1, ""), ("agent-1", 1, 1, str(path)), ("agent-2", 2, 1, "")]
    everyone = small(agent={"policy": f"exec:{path}"}, processes={"agent": 1})
    assert [g.program for g in groups(everyone) if g.kind == "agent"] == [str(path)] * 3


def package(folder: Path) -> Path:
    """A manifest of a Python package of two files."""
    (folder / "mine" / "__pycache__").mkdir(parents=True)
    (folder / "mine" / "__init__.py").write_text("from .rule import Rule\n")
    (folder / "mine" / "rule.py").write_text(
        "class Rule:\n    def __init__(self, setup):\n        self.setup = setup\n"
    )
    (folder / "mine" / "__pycache__" / "rule.pyc").write_bytes(b"x")
    text = GOOD.replace('"exec"', '"python"').replace('"toy.sh"\n', '"mine"\nfactory = "Rule"\n')
    (folder / "agent.toml").write_text(text.replace('command = ["sh", "{file}"]\n', ""))
    return folder / "agent.toml"


def test_a_python_package_is_hashed_and_copied_whole(tmp_path: Path) -> None:
    path = package(tmp_path)
    before = load(path)
    assert "with your rights" in warning_of(before)
    command = command_of(path, tmp_path / "run", "agent-3", 3, "tcp://127.0.0.1:1")
    (copy,) = (tmp_path / "run" / "agents").iterdir()
    assert sorted(p.name for p in copy.rglob("*") if p.is_file()) == ["__init__.py", "rule.py"]
    assert {p.stat().st_mode & 0o777 for p in copy.rglob("*.py")} == {0o555}
    place = command.argv[command.argv.index("agents.host") + 1]
    assert place == f"{copy}/mine:Rule"
    assert class_in(place)(7).setup == 7  # type: ignore[arg-type]
    (tmp_path / "mine" / "rule.py").write_text("class Rule: ...\n")
    assert load(path).sha256 != before.sha256
    (tmp_path / "mine" / "elsewhere.py").symlink_to("/etc/passwd")
    with pytest.raises(AgentError, match=r"elsewhere\.py is no plain file"):
        load(path)


def test_onnx_files_may_differ_by_edge_server_and_their_hash_is_of_all(tmp_path: Path) -> None:
    shipped = ROOT / "agents" / "shipped_rental" / "quickstart-rental" / "actors" / "agent.toml"
    found = load(shipped)
    assert len(found.named.files()) == 9
    command = command_of(shipped, tmp_path, "agent-3", 3, "tcp://127.0.0.1:1")
    place, *rest = command.argv[command.argv.index("agents.host") + 1 :]
    assert place.endswith(f"/{found.sha256[:16]}/actor-3.onnx:")
    assert rest[:3] == ["onnx-quickstart-rental", "1", "rental"]
    assert json.loads(rest[3])["memory_bytes"] == 2e9
    with pytest.raises(AgentError, match=r"there is no actor-9\.onnx; it is not for edge server 9"):
        command_of(shipped, tmp_path, "agent-9", 9, "tcp://127.0.0.1:1")
    with pytest.raises(AgentError, match="services: is 20, but the scenario has 6 services"):
        load_programs([str(ROOT / "agents" / "shipped_actors" / "paper-ttosc" / "agent.toml")], "offloading", 6)


def test_a_file_may_be_elsewhere_and_is_copied_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "built").mkdir()
    written(tmp_path / "built")
    for place in ("built/toy.sh", str(tmp_path / "built" / "toy.sh"), "built/../built/toy.sh"):
        (tmp_path / "agent.toml").write_text(GOOD.replace('"toy.sh"', f'"{place}"'))
        command_of(tmp_path / "agent.toml", tmp_path / "run", "a", 0, "tcp://127.0.0.1:1")
    assert [path.name for path in (tmp_path / "run" / "agents").rglob("*") if path.is_file()] == ["toy.sh"]


def test_a_copy_that_is_not_the_file_is_not_run(tmp_path: Path) -> None:
    path = written(tmp_path)
    folder = tmp_path / "run" / "agents" / load(path).sha256[:16]
    folder.mkdir(parents=True)
    (folder / "toy.sh").write_text("echo another\n")
    with pytest.raises(AgentError, match="changed while it was copied"):
        command_of(path, tmp_path / "run", "agent-3", 3, "tcp://127.0.0.1:1")


def test_words_are_arguments_and_no_shell_reads_them(tmp_path: Path) -> None:
    text = GOOD.replace('["sh", "{file}"]', '["sh", "{file}", "$(id)", "; echo hurt", "*"]')
    command = command_of(written(tmp_path, text, 'printf "%s|" "$@"\n'), tmp_path / "run", "a", 0, "tcp://127.0.0.1:1")
    out = subprocess.run(command.argv, env=command.environment, cwd="/", capture_output=True, text=True, check=True)
    assert out.stdout == "$(id)|; echo hurt|*|"


def test_a_log_that_is_full_takes_no_more_and_ends_nobody(tmp_path: Path) -> None:
    text = GOOD + "[resources]\nfile_bytes = 4096\n"
    path = written(
        tmp_path, text, "i=0; while [ $i -lt 400 ]; do echo $i 0123456789012345678901234567890; i=$((i+1)); done\n"
    )
    command = command_of(path, tmp_path / "run", "a", 0, "tcp://127.0.0.1:1")
    with (tmp_path / "a.log").open("ab") as log:
        ended = started(command, log, log).wait(30)
    assert ended >= 0  # by itself, not by a signal
    assert (tmp_path / "a.log").stat().st_size <= 4096


def test_what_it_has_started_ends_with_it(tmp_path: Path) -> None:
    script = "sleep 600 & echo $!; exit 3\n"
    command = command_of(written(tmp_path, GOOD, script), tmp_path / "run", "a", 0, "tcp://127.0.0.1:1")
    with (tmp_path / "a.log").open("ab") as log:
        child = Child("a", "agent", command, started(command, log, log), log)
        child.pidfd = os.pidfd_open(child.process.pid)
        Launcher._await([child], 30.0)
        os.close(child.pidfd)
    assert child.process.returncode == 3
    pid = int((tmp_path / "a.log").read_text())
    until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text(), "it ends")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up being root")
def test_what_an_agent_shows_is_lent_to_nobody_alone(tmp_path: Path) -> None:
    store = Keystore.create(tmp_path / "keys")
    command = command_of(written(tmp_path), tmp_path / "run", "a", 0, "tcp://127.0.0.1:1", store.folder)
    assert command.lent is not None
    try:
        assert command.environment["EDGERIG_KEYS"] == str(command.lent)
        assert sorted(path.name for path in command.lent.iterdir()) == ["agent.key", "hub.pub"]
        for path in (command.lent, *command.lent.iterdir()):
            assert (path.stat().st_uid, path.stat().st_mode & 0o077) == (65534, 0), path
    finally:
        shutil.rmtree(command.lent)


def test_the_page_has_every_key_with_its_default() -> None:
    page = (ROOT / "docs" / "agent-protocol.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9_.]+)` \|[^|]*\|([^|]*)\|", page, flags=re.MULTILINE)
    told = {key: default.strip().strip("`").strip('"') for key, default in rows}
    expected = {}
    for prefix, table in (("", Manifest), ("resources.", Resources), ("state.", State)):
        for field in msgspec.structs.fields(table):
            if prefix or field.name not in ("resources", "state"):
                expected[prefix + field.name] = field.default
    assert told.keys() == expected.keys()
    for key, default in expected.items():
        if isinstance(default, bool | str):
            assert told[key] == str(default).lower(), key
        elif isinstance(default, float | int):
            assert float(told[key]) == default, key
        else:
            assert told[key] == ('["{file}"]' if key == "command" else ""), key


SCRIPT = """
id -u
tr '\\0' '\\n' </proc/$$/environ
echo --
ls /proc/$$/fd
echo --
ulimit -v; ulimit -n; ulimit -f; ulimit -c
grep NoNewPrivs /proc/$$/status
pwd
"""


def test_what_runs_is_the_copy_with_little_more_than_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "x")
    path = written(tmp_path, GOOD + "[resources]\nmemory_bytes = 1073741824\nfiles = 20\nfile_bytes = 2048\n", SCRIPT)
    command = command_of(path, tmp_path / "run", "agent-3", 3, "tcp://127.0.0.1:1")
    (tmp_path / "toy.sh").write_text("echo not me\n")
    leaked = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(leaked, True)
    try:
        out = subprocess.run(
            command.argv, env=command.environment, cwd=command.folder, capture_output=True, text=True, check=True,
            close_fds=False, stdin=subprocess.DEVNULL,
        ).stdout  # fmt: skip
    finally:
        os.close(leaked)
    told, files, rest = out.split("--\n")
    user, *variables = told.split()
    assert user == ("65534" if os.geteuid() == 0 else str(os.geteuid()))
    names = {variable.partition("=")[0] for variable in variables}
    assert {"EDGERIG_HUB", "EDGERIG_INDEX", "EDGERIG_PROCESS", "PATH"} <= names
    assert names <= {"EDGERIG_HUB", "EDGERIG_INDEX", "EDGERIG_PROCESS", "PATH", "LANG", "LC_ALL", "TZ", "HOME", "PWD"}
    assert "EDGERIG_INDEX=3" in variables
    # in, out, err, the copy, and where sh itself keeps the script it reads
    assert len(files.split()) <= 5
    assert rest.split() == ["1048576", "20", "4", "0", "NoNewPrivs:", "1", "/"]
    (copy,) = (tmp_path / "run" / "agents").glob("*/toy.sh")
    assert (copy.stat().st_mode & 0o777, copy.read_text()) == (0o555, SCRIPT)


@pytest.mark.processes
def test_it_ends_with_whoever_launched_it(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, "echo $$; exec sleep 600\n")
    command = command_of(path, tmp_path / "run", "agent-3", 3, "tcp://127.0.0.1:1")
    launch = (
        "import subprocess, sys; "
        f"child = subprocess.Popen({command.argv!r}, env={command.environment!r}, start_new_session=True); child.wait()"
    )
    launcher = subprocess.Popen([sys.executable, "-c", launch], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    pid = int(launcher.stdout.readline())
    os.kill(launcher.pid, signal.SIGKILL)
    launcher.wait()
    launcher.stdout.close()
    until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text(), "it ends")
