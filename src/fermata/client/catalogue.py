"""The update catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from fermata.client.part import Part, path_part
from fermata.domain.combinations import Combination
from fermata.domain.ids import (
    FreezeId,
    PlanId,
    SupercomputerId,
    UpdateId,
)
from fermata.domain.piles import Pile
from fermata.domain.qualification import QualificationRule, Signal
from fermata.formats.faults import BadInput
from fermata.services.updates import CatalogueChanged, SignalOrder, UpdateView

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CatalogueVerbs(Part):
    """The update catalogue."""

    def list_updates(self) -> Sequence[UpdateView]:
        return self.link.get(list[UpdateView], "/updates")

    def show_update(self, update: UpdateId) -> UpdateView:
        return self.link.get(UpdateView, f"/updates/{path_part(update)}")

    def register_updates(self, path: Path, *, actor: str, why: str) -> CatalogueChanged:
        return self._send_file(CatalogueChanged, "POST", "/updates", path, {"actor": actor, "why": why})

    def save_rules(self, path: Path, *, actor: str, why: str) -> Sequence[QualificationRule]:
        said = {"actor": actor, "why": why}
        return self._send_file(list[QualificationRule], "PUT", "/qualification", path, said)

    def record_signal(self, order: SignalOrder, *, actor: str) -> Signal:
        body = {
            "actor": actor,
            "updates": sorted(order.updates),
            "ring": order.ring,
            "name": order.name,
            "result": order.result,
            "nodes": order.nodes,
            "sku": order.sku,
            "at": order.at.isoformat() if order.at else None,
            "note": order.note,
        }
        return self.link.post(Signal, "/signals", body)

    def promote_update(self, update: UpdateId, *, actor: str, why: str) -> CatalogueChanged:
        return self.link.post(CatalogueChanged, f"/updates/{path_part(update)}/promote", {"actor": actor, "why": why})

    def demote_update(self, update: UpdateId, *, actor: str, why: str) -> CatalogueChanged:
        return self.link.post(CatalogueChanged, f"/updates/{path_part(update)}/demote", {"actor": actor, "why": why})

    def withdraw_update(self, update: UpdateId, *, actor: str, why: str) -> CatalogueChanged:
        return self.link.delete(CatalogueChanged, f"/updates/{path_part(update)}", [("actor", actor), ("why", why)])

    def list_combinations(self, supercomputer: SupercomputerId | None, plan: PlanId | None) -> Sequence[Combination]:
        named = {"supercomputer": supercomputer, "plan": plan}
        asked = [(key, name) for key, name in named.items() if name]
        return self.link.get(list[Combination], "/combinations", asked)

    def list_piles(self, freeze: FreezeId | None) -> Sequence[Pile]:
        return self.link.get(list[Pile], "/piles", [("freeze", freeze)] if freeze else [])

    def _send_file(self, kind: type[T], method: str, where: str, path: Path, fields: Mapping[str, str]) -> T:
        try:
            return self.link.upload(kind, where, fields, [("file", (path.name, path.read_bytes()))], method=method)
        except BadInput as bad:  # told of the file as it is called here
            raise BadInput(tuple(replace(fault, file=str(path)) for fault in bad.faults), bad.total) from bad
