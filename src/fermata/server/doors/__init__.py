"""Doors for clients that were written for somebody else's cloud. Compatible by their wire format alone: no affiliation.

They stand outside `/api/v1` and its description. Each is a file; what they answer comes from the same services.
"""

from fermata.server.doors import event_grid_arm, event_grid_pull, kusto, resource_graph, webhook_consent

ROUTES = (
    *resource_graph.ROUTES,
    *kusto.ROUTES,
    *event_grid_pull.ROUTES,
    *event_grid_arm.ROUTES,
    *webhook_consent.ROUTES,
)
