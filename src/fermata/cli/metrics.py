"""`fermata metrics`: dashboards for Grafana and rules for Prometheus over what a server's `/metrics` gives."""

from pathlib import Path
from typing import Annotated

import orjson
import typer

from fermata.cli import options, output
from fermata.server.doors.alert_rules import rules
from fermata.server.doors.dashboards import DASHBOARDS

OutOption = Annotated[Path, typer.Option("--out", help="Folder to write to; made if it is not there.")]


def register(app: typer.Typer) -> None:
    """Adds the group of verbs."""
    group = typer.Typer(help="Dashboards and alerts over a server's /metrics.", no_args_is_help=True)
    group.command("dashboards")(write_dashboards)
    group.command("rules")(write_rules)
    app.add_typer(group, name="metrics")


def write_dashboards(out: OutOption = Path(), as_json: options.JsonOption = False) -> None:
    """Writes the dashboards that Grafana imports, a file each."""
    _write(out, {name: make() for name, make in DASHBOARDS.items()}, as_json=as_json)


def write_rules(out: OutOption = Path(), as_json: options.JsonOption = False) -> None:
    """Writes Prometheus's recording and alerting rules, for `rule_files` of its configuration."""
    _write(out, {"fermata-rules.json": rules()}, as_json=as_json)


def _write(folder: Path, files: dict[str, dict[str, object]], *, as_json: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in files.items():
        (folder / name).write_bytes(orjson.dumps(body, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    if as_json:
        output.print_json({"schema": "fermata.files/1", "files": [str(folder / name) for name in files]})
    for name in files if not as_json else ():
        output.say(f"{folder / name} written.")
