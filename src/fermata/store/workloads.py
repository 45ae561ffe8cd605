"""The map of workloads: which node serves what. A document, as policy and catalogue are."""

from sqlalchemy import Connection, delete

from fermata.domain.workloads import WorkloadMap
from fermata.store.inventory import document, find_document, save_document


def save_workloads(conn: Connection, workloads: WorkloadMap) -> bool:
    """Replaces the workload map. False when it was stored already."""
    return save_document(conn, "workloads", "", workloads)


def find_workloads(conn: Connection) -> WorkloadMap | None:
    """The workload map; None when none was imported."""
    return find_document(conn, "workloads", "", WorkloadMap)


def remove_workloads(conn: Connection) -> bool:
    """From now on no service is known. False when none was."""
    return bool(conn.execute(delete(document).where(document.c.kind == "workloads")).rowcount)
