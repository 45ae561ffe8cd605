"""The command fermata-bmc: serves the controllers that a file, or a number, describes."""

from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from fermata.bmc.clock import RealTime, VirtualTime
from fermata.bmc.fleet import BadFleet, Bmcs, Fleet, read_fleet
from fermata.bmc.web import Emulator

DEFAULT_PORT = 8322


def serve(
    fleet: Annotated[Path | None, typer.Argument(help="JSON file with controllers, profiles and faults")] = None,
    count: Annotated[int, typer.Option(help="Controllers node0001, node0002, ... where no file is given")] = 1,
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes any free one")] = DEFAULT_PORT,
    virtual: Annotated[bool, typer.Option("--virtual", help="Time stands still until it is advanced")] = False,
    cert: Annotated[Path | None, typer.Option(help="Certificate, in PEM; none: plain http")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key, if it does not stand in the same file")] = None,
) -> None:
    """Emulates management controllers that speak Redfish, with updates, resets and faults.

    Each is at /bmcs/NAME/redfish/v1/, a single one at /redfish/v1/ as well. See docs/bmc.md.
    """
    try:
        described = read_fleet(fleet) if fleet is not None else Fleet(bmcs=(Bmcs(count=count),))
    except (BadFleet, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    emulator = Emulator(described, VirtualTime() if virtual else RealTime())
    scheme = "https" if cert else "http"
    typer.echo(f"{len(emulator.controllers)} controllers at {scheme}://{host}:{port}/bmcs/NAME/redfish/v1/")
    uvicorn.run(
        emulator,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        ssl_certfile=str(cert) if cert else None,
        ssl_keyfile=str(key) if key else None,
    )


def run() -> None:
    """The entry point."""
    typer.run(serve)


if __name__ == "__main__":
    run()
