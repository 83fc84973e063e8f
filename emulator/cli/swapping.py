"""`edgerig swap`: another agent comes to decide for an edge server of a live run."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Final

import click

from agents.errors import AgentError
from bus.client import Client
from bus.credentials import LAUNCHER
from bus.errors import CallFailed
from bus.messages import Query, Setup
from bus.swap_messages import Shadow, ShadowEnd, ShadowStates, Swap, SwapEnd, SwapQuery, SwapState, SwapStates
from emulator.cli.finding import Run, asking, find, hub_options
from emulator.cli.reset import why
from emulator.nodes.swap_request import OVER, facts_of
from emulator.scenario import Scenario
from emulator.scenario_file import parse
from emulator.specs import is_program, with_whole_paths

AGAIN_S: Final = 0.05
GOOD: Final = ("bound", "done")


@click.command("swap")
@click.argument("edges", metavar="EDGE[,EDGE...]", required=False)
@click.argument("agent", required=False)
@click.option("--to", metavar="NAME,...", help="Who stands by already, by process name or instance; or: standby.")
@click.option("--at", "at_frame", metavar="frame=N", help="From which frame on.  [default: as soon as it is ready]")
@click.option("--hold", "hold_frames", type=click.IntRange(-1), default=1, show_default=True,
              help="Frames for which the agent before stands by; -1: until --drain or --rollback.")  # fmt: skip
@click.option("--deadline", "deadline_s", type=click.FloatRange(0, min_open=True), default=30.0, show_default=True,
              help="Seconds until it must be ready (with --at in lockstep: for which the frame waits).")  # fmt: skip
@click.option("--cold", is_flag=True, help="It starts without the state of the one before, though it could have it.")
@click.option("--shadow", "shadows", is_flag=True,
              help="Obeyed by nobody: it decides beside the one that does (with --drain: no longer).")  # fmt: skip
@click.option("--list", "shows", is_flag=True, help="Show who stands by, and how swaps stand.")
@click.option("--rollback", "end", flag_value="rollback", help="Bind the agent that stands by again.")
@click.option("--drain", "end", flag_value="drain", help="Let the agent that stands by go.")
@hub_options
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def swap_command(
    edges: str | None,
    agent: str | None,
    to: str | None,
    at_frame: str | None,
    hold_frames: int,
    deadline_s: float,
    cold: bool,
    shadows: bool,
    shows: bool,
    end: str | None,
    hub: str | None,
    folder: Path | None,
    as_json: bool,
) -> int:
    """Let AGENT (a policy's SPEC, or a manifest) decide for EDGE, beginning with one frame, and wait how it ends.

    It is started beside the one that decides, warms up on copies of what that one is shown, and takes over at a frame
    boundary; if it gives no valid decision there, the one before decides. Exit code 3 if nothing came of it.
    """
    if shows:
        return _show(find(hub, folder), as_json)
    if edges is None:
        raise click.ClickException("name an EDGE server, like 3 or 0,2,4; --list shows who stands by")
    numbers = _edges(edges)
    if (end is not None) + (agent is not None) + (to is not None) != 1:
        raise click.ClickException("give an AGENT to start, --to who stands by, --rollback or --drain: one of them")
    run = find(hub, folder)
    with asking(run, role=LAUNCHER) as client:
        try:
            if shadows:
                return _shadow(client, numbers, agent, to, end, deadline_s, as_json=as_json)
            if end is not None:
                state = _end(client, numbers, end)
            else:
                scenario = parse(client.call("setup", Query(), Setup).scenario, origin="the hub's scenario")
                names = _names(to, numbers)
                asked = Swap(
                    numbers,
                    _checked(agent, scenario) if agent else "",
                    names,
                    _frame(at_frame),
                    hold_frames,
                    deadline_s,
                    cold=cold,
                )
                state = client.call("swap", asked, SwapState)
            state = _await(client, state)
        except CallFailed as error:
            raise click.ClickException(why(error, run.address)) from None
    click.echo(json.dumps({"hub": run.address, **facts_of(state)}, indent=2) if as_json else sentence(state))
    return 0 if state.stage in (("rolled back",) if end == "rollback" else GOOD) else 3


def _names(to: str | None, edges: tuple[int, ...]) -> tuple[str, ...]:
    """Who stands by, by edge server, as it was asked for."""
    if not to:
        return ()
    return tuple(to.split(",")) * (len(edges) if to == "standby" else 1)


def _shadow(
    client: Client,
    edges: tuple[int, ...],
    agent: str | None,
    to: str | None,
    end: str | None,
    deadline_s: float,
    *,
    as_json: bool,
) -> int:
    """Begin with shadows, and wait until they are asked; or end those that there are."""
    if end == "rollback":
        raise click.ClickException("--rollback: nobody obeys a shadow, so nothing is to be taken back; use --drain")
    if end is not None:
        found = client.call("shadow_end", ShadowEnd(edges), ShadowStates)
    else:
        scenario = parse(client.call("setup", Query(), Setup).scenario, origin="the hub's scenario")
        asked = Shadow(edges, _checked(agent, scenario) if agent else "", _names(to, edges))
        before = len(client.call("shadow_status", Query(), ShadowStates).shadows)
        found, pause = client.call("shadow", asked, ShadowStates), threading.Event()
        end_s = time.monotonic() + deadline_s
        while any(not s.over and s.since_frame < 0 for s in found.shadows[before:]) and time.monotonic() < end_s:
            pause.wait(AGAIN_S)
            found = client.call("shadow_status", Query(), ShadowStates)
        found = ShadowStates(found.shadows[before:])
    if as_json:
        rows = [{name: getattr(state, name) for name in state.__struct_fields__} for state in found.shadows]
        click.echo(json.dumps({"shadows": rows}, indent=2))
    for state in () if as_json else found.shadows:
        since = f"from frame {state.since_frame} on" if state.since_frame >= 0 else f"not yet, after {deadline_s:g} s"
        over = f"; over: {state.over}" if state.over else ""
        click.echo(f"{state.process} shadows edge {state.edge} {since}: {state.decided} decisions{over}")
    return 0 if end or all(state.since_frame >= 0 for state in found.shadows) else 3


def _show(run: Run, as_json: bool) -> int:
    with asking(run) as client:
        try:
            found = client.call("swap_status", SwapQuery(), SwapStates)
        except CallFailed as error:
            raise click.ClickException(why(error, run.address)) from None
    standbys = [{name: getattr(each, name) for name in each.__struct_fields__} for each in found.standbys]
    if as_json:
        swaps = [facts_of(state) for state in found.swaps]
        click.echo(json.dumps({"hub": run.address, "standbys": standbys, "swaps": swaps}, indent=2))
        return 0
    for each in found.standbys:
        who = f"{each.name} {each.version}".strip() or "an agent of ours"
        click.echo(f"edge {each.edge}: {each.process} ({each.instance}) stands by, {each.state}: {who}")
    for state in found.swaps:
        click.echo(sentence(state))
    if not (found.standbys or found.swaps):
        click.echo("nobody stands by, and there was no swap")
    return 0


def _edges(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.ClickException(f"EDGE {text}: must be numbers of edge servers, like 3 or 0,2,4") from None


def _frame(text: str | None) -> int:
    if text is None:
        return -1
    key, _, number = text.partition("=")
    if key != "frame" or not number.isdigit():
        raise click.ClickException(f"--at {text}: must be like frame=40")
    return int(number)


def _checked(agent: str, scenario: Scenario) -> str:
    """The agent as the launcher is told of it.

    Raises: AgentError: it cannot be used here.
    """
    if is_program(agent):
        from agents.manifest import load_programs

        load_programs([agent], scenario.world)
        return with_whole_paths(agent)
    if "," in agent or "=" in agent.partition(":")[0]:
        raise AgentError(f"agent {agent}: name one; EDGE says for whom")
    from agents.policy_host import check_hostable

    check_hostable(agent, scenario.world)
    return agent


def _end(client: Client, edges: tuple[int, ...], how: str) -> SwapState:
    """End the swap that is under way at these edge servers."""
    states = client.call("swap_status", SwapQuery(), SwapStates).swaps
    under_way = [s for s in states if s.stage not in OVER and {part.edge for part in s.parts} & set(edges)]
    if not under_way:
        raise click.ClickException(f"no swap is under way at edge {', '.join(map(str, edges))}")
    number = under_way[-1].number
    return client.call("swap_end", SwapEnd(number, "rollback" if how == "rollback" else "drain"), SwapState)


def _await(client: Client, state: SwapState) -> SwapState:
    """Wait until a swap is over, or rests with those before standing by; the hub has the deadlines."""
    pause, ends = threading.Event(), state.stage == "bound"
    try:
        while state.stage not in OVER and not (state.stage == "bound" and state.hold_frames < 0 and not ends):
            pause.wait(AGAIN_S)
            (now,) = client.call("swap_status", SwapQuery(state.number), SwapStates).swaps
            if now.stage != state.stage:
                click.echo(f"swap {now.number}: {now.stage}", err=True)
            state = now
    except KeyboardInterrupt:
        edges = ",".join(str(part.edge) for part in state.parts)
        click.echo(f"swap {state.number} goes on; `edgerig swap {edges} --rollback` calls it off", err=True)
        raise
    return state


def sentence(state: SwapState) -> str:
    """A swap in one line."""
    edges = ", ".join(str(part.edge) for part in state.parts)
    what = f"swap {state.number}, edge {edges}: {state.stage}"
    if state.frame < 0 and not state.failed:
        return f"{what}, for {'the next frame' if state.at_frame < 0 else f'frame {state.at_frame}'}"
    if state.frame < 0:
        return f"{what} in stage {state.failed}: {state.reason}"
    held = f", time waited {state.held_s:.2f} s for it" if state.held_s else ""
    text = f"{what}; from frame {state.frame} on, gap {state.gap_frames} frames, missed decisions {state.missed}{held}"
    for part in state.parts:
        if part.state == "handed over":
            size = f"{part.state_format}, {part.state_bytes:,} bytes in {part.state_s:.3f} s"
            text += f"; edge {part.edge}: state handed over ({size})"
        elif part.state:
            text += f"; edge {part.edge}: {part.state}: {part.state_reason}"
    if state.rolled_back_frame >= 0:
        text += f"; those before decide from frame {state.rolled_back_frame} on: {state.reason}"
    return text


COMMANDS = [swap_command]
