"""`edgerig hub`: names and places for nodes without a run, as roscore was for ROS."""

from __future__ import annotations

import os
from pathlib import Path

import click

from bus.credentials import HUB
from bus.keystore import Enrolled
from bus.messages import Shutdown, Stop, Stopped
from bus.process import Process, stop_on_signals
from bus.registry import Registry
from emulator import folder as run_folder
from emulator import keys
from emulator.cli.finding import keys_option

LAST_WORDS_S = 0.2


@click.command("hub")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the hub.  [default: any free one]")
@click.option("--out", metavar="DIR", help="Folder for hub.json, where the tools look.  [default: runs/hub-<n>]")
@keys_option
def hub_command(port: int, out: str | None) -> int:
    """Run a hub without a run, for nodes of your own, until Ctrl-C."""
    store, own = keys.keystore(), keys.keys_of(HUB)
    folder = run_folder.create(out, "hub", 0)
    process = Process("hub", keys=own)
    stop_on_signals(process)
    try:
        enrolled = Enrolled(store) if store is not None else None
        address = f"tcp://127.0.0.1:{port}" if port else "tcp://127.0.0.1:*"
        registry = Registry(process, {}, address=address, enrolled=enrolled)
        node = process.node("/hub")
        shutdown = node.publisher("/hub/shutdown")

        def stop(_request: Stop) -> Stopped:
            process.stop()
            return Stopped(0)

        registry.serve("stop", Stop, stop)
        process.register()
        facts = {"hub": registry.address, "pid": os.getpid()}
        facts |= {"keys": str(store.folder.resolve())} if store is not None else {}
        run_folder.write_json(folder / "hub.json", facts)
        click.echo(f"export EDGERIG_HUB={registry.address}")
        process.spin()
        shutdown.publish(Shutdown("the hub ends"))
        process.stopping = False
        process.spin(None, LAST_WORDS_S)
    except OSError as error:
        raise click.ClickException(f"port {port}: {error.strerror}; choose another --port") from None
    finally:
        process.close()
        (folder / "hub.json").unlink(missing_ok=True)
        (folder / "logs").rmdir()
        Path(folder).rmdir()
    return 0


COMMANDS = [hub_command]
