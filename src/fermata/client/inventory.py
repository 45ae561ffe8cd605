"""Imports, and the sources that keep inventory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fermata.client.part import Part, path_part
from fermata.domain.ids import (
    HoldId,
    SourceId,
)
from fermata.formats.faults import BadInput
from fermata.services.import_files import ImportKind
from fermata.services.inventory import ImportSet, ImportSummary, WorkloadsRemoved
from fermata.services.inventory_changes import Synced
from fermata.services.inventory_held import HoldView
from fermata.services.inventory_sources import Forgotten, SourceLine


@dataclass(frozen=True, slots=True)
class InventoryVerbs(Part):
    """Imports, and the sources that keep inventory."""

    def import_files(
        self, kind: ImportKind, files: Mapping[str, Path], read: ImportSet, *, actor: str, why: str
    ) -> ImportSummary:
        parts = [("files", (name, path.read_bytes())) for name, path in files.items()]
        fields = {"kind": kind.value, "actor": actor, "why": why}
        try:
            return self.link.upload(ImportSummary, "/imports", fields, parts)
        except BadInput as bad:  # the server's readers are stricter than ours: say it of the files as they are here
            named = (replace(f, file=str(files[f.file])) if f.file in files else f for f in bad.faults)
            raise BadInput(tuple(named), bad.total) from bad

    def remove_workloads(self, *, actor: str, why: str) -> WorkloadsRemoved:
        return self.link.delete(WorkloadsRemoved, "/workloads", [("actor", actor), ("why", why)])

    def list_sources(self) -> Sequence[SourceLine]:
        return self.link.get(list[SourceLine], "/inventory/sources")

    def sync_source(self, source: SourceId, *, actor: str) -> Synced:
        return self.link.post(Synced, f"/inventory/sources/{path_part(source)}/sync", {"actor": actor})

    def diff_source(self, source: SourceId) -> Synced:
        return self.link.get(Synced, f"/inventory/sources/{path_part(source)}/diff")

    def forget_source(self, source: SourceId, *, actor: str, why: str) -> Forgotten:
        return self.link.delete(Forgotten, f"/inventory/sources/{path_part(source)}", [("actor", actor), ("why", why)])

    def list_held(self, *, over: bool) -> Sequence[HoldView]:
        return self.link.get(list[HoldView], "/inventory/holds", [("over", over)])

    def show_held(self, hold: HoldId) -> HoldView:
        return self.link.get(HoldView, f"/inventory/holds/{path_part(hold)}")

    def accept_held(self, hold: HoldId, *, actor: str, why: str) -> Synced:
        return self.link.post(Synced, f"/inventory/holds/{path_part(hold)}/accept", {"actor": actor, "why": why})

    def drop_held(self, hold: HoldId, *, actor: str, why: str) -> HoldView:
        return self.link.post(HoldView, f"/inventory/holds/{path_part(hold)}/drop", {"actor": actor, "why": why})
