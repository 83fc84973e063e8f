"""`edgerig agent check`: the agent that comes with edgerig passes, a wrong one is found by the check meant for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from agent_c import compiled, runnable_in_node
from live_run import finished

from agents.manifest import load
from bus.keystore import Keystore
from emulator.conformance import Failed, Session
from emulator.conformance_checks import CHECKS

ROOT = Path(__file__).parents[2]
EXAMPLES = [ROOT / "examples" / name / "agent.toml" for name in ("agent-c", "agent-node", "agent-python")]
SHIPPED = sorted({*(ROOT / "agents").rglob("agent.toml"), *EXAMPLES})
REMEMBER = {path.parent.name for path in SHIPPED if "\n[state]\n" in path.read_text()}
POLICIES = {"popularity": "quickstart", "madql": "quickstart-rental"}
"""One of each world, which stand for the host of all; what each decides is looked at in tests/unit/agents."""
AT_A_TIME = 4
pytestmark = pytest.mark.processes

DECIDED = "h.kind = DEPLOYMENT;"
NAP = "struct timespec nap = {{{}, {}}}; nanosleep(&nap, NULL); h.kind = DEPLOYMENT;"
SCORED = "score[j] = slots ? tasks * SCALE / (uint64_t)service_bytes[j] : 1;"
BY_PID = "score[j] = tasks * SCALE * 0 + 1 + (uint64_t)getpid() * (j + 1) * 2654435761u % 97;"
SKIPPED_BYTES = "read_bytes(r, &bytes, false);\n    else if ((type & 0xf0) == 0x90"
UNFIT = 'fprintf(stderr, "agent-c: an observation'
REFUSED = 'fprintf(stderr, "agent-c: %s: %s\\n", reason, text);'
LEFT = 'else exit_code = strcmp(reason, "warm_up") ? 0 : 1;'
WRONG = {
    "handshake": ("greet(retry_s);", "greet(0);", "said Hello though nobody asked"),
    "keys": (
        "zmq_curve_keypair(own_key.public, own_key.secret);\n        reach_hub",
        "reach_hub",
        "public_key is not that of a fresh pair",
    ),
    "decisions": ("chosen[k]] <= room", "chosen[k]] <= 1e30", "infeasible: more than fits"),
    "wall clock": (DECIDED, NAP.format(3, 0), "nothing came"),
    "beats": ("next_beat_s = now_s() + beat_s;", "next_beat_s = now_s() + 1000;", "the longest gap is"),
    "unknown fields": (SKIPPED_BYTES, "abort(" + SKIPPED_BYTES[SKIPPED_BYTES.index(")") :], "ended with code -6"),
    "malformed observations": (UNFIT, f"abort(); {UNFIT}", "a malformed observation: ended with code -6"),
    "out of range": (
        "if (count >= 1) tasks",
        "while (count < 0) abort();\nif (count >= 1) tasks",
        "of -inf: ended with",
    ),
    "refusals": (REFUSED, "exit_code = 1;", "ended with code 1"),
    "stale epoch": (DECIDED, "h.kind = DEPLOYMENT; if (h.epoch) h.epoch = 1;", "edge, instance, epoch, frame are"),
    "lost lease": ("if (!known) greet(0.1);", "if (!known) exit_code = 4;", "Hello: ended with code 4"),
    "paused": ("if (again) greet(0.1);", "if (again) exit_code = 5;", "Hello: ended with code 5"),
    "load": (DECIDED, NAP.format(0, 120000000), "at 20 a second"),
    "determinism": (SCORED, BY_PID, "in its first life"),
    "goodbye": (LEFT, "", "is still there"),
}
"""By check: what of the source is replaced, by what, and what the check then says."""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, CompletedProcess[str]]]:
    """Every shipped agent before the whole suite, several at a time: nearly all that a check does is to wait."""
    in_c = compiled(tmp_path_factory.mktemp("agent-c"))
    asked = {path.parent.name: [str(path if path != EXAMPLES[0] else in_c)] for path in SHIPPED}
    if shutil.which("node") is None:
        del asked["agent-node"]
    asked |= {name: [name, "--scenario", scenario] for name, scenario in POLICIES.items()}
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        made = {
            name: pool.submit(finished, "agent", "check", *who, "--edge", "3", "--json") for name, who in asked.items()
        }
        yield {name: done.result() for name, done in made.items()}


@pytest.mark.parametrize("name", [*(path.parent.name for path in SHIPPED), *POLICIES])
def test_every_shipped_agent_conforms(checked: dict[str, CompletedProcess[str]], name: str) -> None:
    done = checked[runnable_in_node().parent.name if name == "agent-node" else name]
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    assert [check["name"] for check in told["checks"]] == list(CHECKS)
    state = {"state": True if name in REMEMBER else None}
    assert {check["name"]: check["passed"] for check in told["checks"]} == dict.fromkeys(CHECKS, True) | state
    assert (done.returncode, told["passed"], told["edge"]) == (0, True, 3)


def test_no_shipped_agent_is_left_out() -> None:
    names = [path.parent.name for path in SHIPPED]
    assert len({*names, *POLICIES}) == len(names) + len(POLICIES)
    assert {path.parent for path in (ROOT / "examples").glob("agent-*/agent.toml")} == {
        path.parent for path in EXAMPLES
    }
    assert {path.parent for path in (ROOT / "agents").rglob("actor*.onnx")} <= {path.parent for path in SHIPPED}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_agent_is_found_by_the_check_that_is_meant_for_it(tmp_path: Path, name: str) -> None:
    old, new, told = WRONG[name]
    found = load(compiled(tmp_path, old, new))
    session = Session(found, 0, tmp_path, store=Keystore.create(tmp_path / "keys") if name == "keys" else None)
    try:
        with pytest.raises(Failed, match=told):
            CHECKS[name](session)
    finally:
        session.close()


REMEMBERS = """
class Counts:
    def __init__(self, setup):
        self.frames = 0
    def decide(self, frame, counts):
        return [self.frames % 4]
    def after_frame(self, frame, reward):
        self.frames += 1
    def give_state(self):
        return {gives}
    def take_state(self, state):
        {takes}
"""
STATES = {
    "right": ('b"%d" % self.frames', "self.frames = int(state)", ""),
    "gives none": ("int('lost')", "pass", "StateQuery: expected StatePiece, got StateResult"),
    "forgets": ('b"%d" % self.frames', "self.frames = 0", "with its state it decides"),
    "refuses": ('b"%d" % self.frames', 'raise ValueError("no")', "does not take what it gave itself: no"),
}


@pytest.mark.parametrize("name", STATES)
def test_a_class_that_remembers_is_found_out_if_it_gives_or_takes_its_state_badly(tmp_path: Path, name: str) -> None:
    gives, takes, told = STATES[name]
    (tmp_path / "agent.py").write_text(REMEMBERS.format(gives=gives, takes=takes))
    (tmp_path / "agent.toml").write_text(
        'name = "counts"\nversion = "1"\nprotocol = 1\nworld = "offloading"\nkind = "python"\nfile = "agent.py"\n'
        'factory = "Counts"\ndeterministic = true\n[state]\nformat = "frames-1"\nneeds = true\n'
    )
    session = Session(load(tmp_path / "agent.toml"), 0, tmp_path)
    try:
        if told:
            with pytest.raises(Failed, match=told):
                CHECKS["state"](session)
        else:
            assert str(CHECKS["state"](session)).startswith("1 bytes given and taken, a wrong hash refused")
    finally:
        session.close()


def test_a_program_that_is_none_fails_every_check_in_words_and_with_an_exit_code(tmp_path: Path) -> None:
    (tmp_path / "no.sh").write_text("echo I am no agent\nexit 9\n")
    (tmp_path / "agent.toml").write_text(
        'name = "no"\nversion = "1"\nprotocol = 1\nworld = "rental"\nkind = "exec"\nfile = "no.sh"\n'
        'command = ["sh", "{file}"]\n'
    )
    done = finished("agent", "check", str(tmp_path / "agent.toml"))
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    assert lines[0].split()[:3] == ["handshake", "FAILED", "Hello:"]
    assert "ended with code 9; see its log | its log ends: I am no agent" in lines[0]
    assert lines[-2].startswith("goodbye")
    assert "fails 16 of 18 checks" in lines[-1]
    assert [line for line in lines if "not claimed by the manifest" in line] == lines[-4:-2]


def test_only_what_a_keyring_vouches_for_is_started(tmp_path: Path) -> None:
    source = ROOT / "examples" / "agent-python"
    for name in ("agent.py", "agent.toml"):
        (tmp_path / name).write_text((source / name).read_text())
    manifest, key, ring = tmp_path / "agent.toml", tmp_path / "ada.key", tmp_path / "trusted.keys"

    def ran(*more: str) -> tuple[int, str]:
        run = ("run", "quickstart", "--frames", "1", "--set", "edges.count=1", "--agent", str(manifest), "--json")
        done = finished(*run, *more, cwd=tmp_path)
        return done.returncode, done.stderr

    assert finished("agent", "key", str(key), "--name", "ada").returncode == 0
    ring.write_text(key.with_name("ada.key.pub").read_text())
    code, words = ran("--require-signed", str(ring))
    assert (code, words.count("\n")) == (2, 1)
    assert "is not signed" in words
    signed = finished("agent", "sign", str(manifest), "--key", str(key))
    assert signed.returncode == 0, signed.stderr
    code, words = ran("--require-signed", str(ring))
    assert code == 0, words
    assert "is Python code that runs with your rights" in words
    (tmp_path / "agent.py").write_text("class MarginalPopularity: ...\n")
    code, words = ran("--require-signed", str(ring))
    assert (code, "has changed since it was signed" in words) == (2, True)
    assert ran("--require-signed", str(tmp_path / "gone"))[0] == 2
