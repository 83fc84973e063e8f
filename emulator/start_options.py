"""The arguments of `edgerig node start`."""

from __future__ import annotations

import argparse
import os
from typing import Final

from bus import names
from emulator.keys import OPEN

KINDS: Final = ("hub", "cell", "edge", "agent", "cloud", "recorder")


def parser() -> argparse.ArgumentParser:
    """What `edgerig node start` takes."""
    made = argparse.ArgumentParser(prog="edgerig node start", description="Start one process of a run.")
    made.add_argument("kind", choices=KINDS)
    made.add_argument("--hub", default=os.environ.get("EDGERIG_HUB", ""), help="the hub's address, tcp://HOST:PORT")
    made.add_argument("--run", help="the run folder (hub, and agents that learn)")
    made.add_argument("--bind", default="127.0.0.1", help="address to listen on")
    made.add_argument("--keys", default="", help="the keystore [default: EDGERIG_KEYS]")
    made.add_argument(
        OPEN, dest="is_open", action="store_true", help="let --bind reach beyond this machine unprotected"
    )
    made.add_argument(
        "--host",
        default=os.environ.get("EDGERIG_HOST") or "127.0.0.1",
        help="name others reach this process by, or to:NAME: our address on the way to NAME, listened on as well",
    )
    made.add_argument(
        "--topics-host",
        default=os.environ.get("EDGERIG_TOPICS_HOST", ""),
        help="the same for what this process publishes [default: as --host]",
    )
    made.add_argument("--port", type=_port, default=0, help="port of the hub; 0: any free one")
    for role in ("cell", "edge", "agent"):
        # Without a default of its own: of several options for one thing the first one's would hold.
        made.add_argument(f"--{role}", dest="index", type=int, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    made.add_argument(
        "--index",
        type=int,
        default=os.environ.get("EDGERIG_INDEX") or None,
        help="first index; the next free one if left out",
    )
    made.add_argument(
        "--count",
        type=int,
        default=os.environ.get("EDGERIG_COUNT") or "1",
        help="how many nodes this process hosts; 0: all there are",
    )
    made.add_argument(
        "--wait",
        type=float,
        default=os.environ.get("EDGERIG_WAIT_S") or "10",
        help="seconds to wait for a name that is held; inf: as a spare, as long as the run lasts",
    )
    made.add_argument(
        "--standby",
        action="store_true",
        default=os.environ.get("EDGERIG_STANDBY", "") not in ("", "0"),
        help="be the --agent-spec's agent that stands by for --index, until it is swapped in; also EDGERIG_STANDBY=1",
    )
    made.add_argument("--record", action="store_true", help="a recorder is waited for (hub only)")
    made.add_argument("--out", help="the bag to write (recorder only)")
    made.add_argument("--encoding", default="json", choices=("json", "msgpack"), help="of the bag (recorder only)")
    made.add_argument(
        "--namespace", dest="remap", type=names.namespace, action="append", default=[], help="of relative names"
    )
    made.add_argument("--remap", type=names.rule, action="append", default=[], help="FROM:=TO, as in ROS 2")
    made.add_argument("--metrics-port", type=_port, default=0, help="port of /metrics; 0: any free one")
    _add_run(made)
    return made


def _add_run(made: argparse.ArgumentParser) -> None:
    """What a hub without --run, which makes its run folder itself, is told of its run."""
    run = made.add_argument_group("a hub without --run", "makes a run folder below ./runs, and its summary")
    for name, text in (
        ("scenario", "a shipped scenario, or a file"),
        ("agent_spec", "who decides [default: the scenario's]"),
        ("edges", "edge servers [default: the scenario's]"),
        ("seed", "draws arrivals, routing and exploration [default: the scenario's]"),
        ("frames", "frames to run; 0: until stopped [default: the scenario's]"),
        ("slot_wall_s", "wall seconds of a slot; 0: lockstep [default: the scenario's]"),
        ("set", "more keys, KEY=VALUE, separated by blanks"),
    ):
        variable = f"EDGERIG_{name.removesuffix('_spec').upper()}"
        option = f"--{name.replace('_', '-')}"
        run.add_argument(option, default=os.environ.get(variable, ""), help=f"{text}; also {variable}")


def _port(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give 0 to 65535")
    return int(text)
