"""Doors for clients that were written for somebody else's cloud. Compatible by their wire format alone: no affiliation.

They stand outside `/api/v1` and its description. Each is a file; what they answer comes from the same services.
"""

from starlette.routing import BaseRoute

from fermata.server.doors import (
    arm_tree,
    aws_metadata,
    ec2_api,
    event_grid_arm,
    event_grid_pull,
    gce_api,
    gce_metadata,
    imds,
    kusto,
    metrics,
    resource_graph,
    webhook_consent,
)

ROUTES: tuple[BaseRoute, ...] = (
    *resource_graph.ROUTES,
    *kusto.ROUTES,
    *event_grid_pull.ROUTES,
    *event_grid_arm.ROUTES,
    *webhook_consent.ROUTES,
    *arm_tree.ROUTES,
    *gce_api.ROUTES,
    *ec2_api.ROUTES,
    *metrics.ROUTES,
)

NODE_DOORS = (*imds.DOORS, *gce_metadata.DOORS, *aws_metadata.DOORS)
