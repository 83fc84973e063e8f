"""`edgerig hub`: names and places for nodes without a run, as roscore was for ROS."""

from __future__ import annotations

import os
from pathlib import Path

import click

from bus.messages import Shutdown, Stop, Stopped
from bus.process import Process, stop_on_signals
from bus.registry import Registry
from emulator import folder as run_folder

LAST_WORDS_S = 0.2


@click.command("hub")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the hub.  [default: any free one]")
@click.option("--out", metavar="DIR", help="Folder for hub.json, where the tools look.  [default: runs/hub-<n>]")
def hub_command(port: int, out: str | None) -> int:
    """Run a hub without a run, for nodes of your own, until Ctrl-C."""
    folder = run_folder.create(out, "hub", 0)
    process = Process("hub")
    stop_on_signals(process)
    try:
        registry = Registry(process, {}, address=f"tcp://127.0.0.1:{port}" if port else "tcp://127.0.0.1:*")
        node = process.node("/hub")
        shutdown = node.publisher("/hub/shutdown")

        def stop(_request: Stop) -> Stopped:
            process.stop()
            return Stopped(0)

        registry.serve("stop", Stop, stop)
        process.register()
        run_folder.write_json(folder / "hub.json", {"hub": registry.address, "pid": os.getpid()})
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
