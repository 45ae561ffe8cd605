"""`fermata node key`: the keys with which clients inside nodes are known to `fermata serve`."""

from datetime import timedelta
from typing import Annotated

import typer

from fermata.cli import options, output
from fermata.cli.simulating import chosen_settings
from fermata.domain.ids import NodeId
from fermata.domain.scheduled_events import Leads
from fermata.server.callers import BadSecret, NodeAccess, NodeKeys
from fermata.settings import Settings
from fermata.wiring.named_secrets import read_node_secret


def register(app: typer.Typer) -> None:
    """Adds the group of verbs."""
    group = typer.Typer(help="Keys with which clients inside nodes are known.", no_args_is_help=True)
    group.command("key")(print_keys)
    app.add_typer(group, name="node")


def print_keys(
    nodes: Annotated[list[str], typer.Argument(help="Names of nodes.", show_default=False)],
    at: Annotated[
        str | None,
        typer.Option(
            "--at", help="Where the nodes reach the server, or a tunnel to it.", show_default="the server's own"
        ),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Prints what a client inside each node takes as its http_proxy. Whoever knows it speaks as the node."""
    settings = chosen_settings()
    keys = NodeKeys(node_access(settings).secret)
    try:
        found = {node: keys.key_of(NodeId(node)) for node in nodes}
    except BadSecret as bad:
        raise typer.BadParameter(str(bad), param_hint="FERMATA_NODE_SECRET") from bad
    place = at or f"{settings.host}:{settings.port}"
    lines = [{"node": node, "key": key, "http_proxy": f"http://{node}:{key}@{place}"} for node, key in found.items()]
    if as_json:
        output.print_json(lines)
        return
    for line in lines:
        output.out.print(line["http_proxy"], markup=False, soft_wrap=True)


def node_access(settings: Settings) -> NodeAccess:
    """How clients inside nodes are known, by the settings. Raises typer.BadParameter."""
    leads = Leads(question=timedelta(days=settings.question_days), window=timedelta(minutes=settings.event_minutes))
    try:
        secret = read_node_secret(settings)
    except BadSecret as bad:
        raise typer.BadParameter(str(bad), param_hint="FERMATA_NODE_SECRET") from bad
    return NodeAccess(secret=secret, leads=leads)
