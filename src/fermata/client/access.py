"""Roles that are taken in an emergency."""

from collections.abc import Sequence
from dataclasses import dataclass

from fermata.client.part import Part, path_part
from fermata.domain.break_glass import BreakGlass
from fermata.domain.identity import Grant
from fermata.domain.ids import BreakGlassId


@dataclass(frozen=True, slots=True)
class AccessVerbs(Part):
    """Roles that are taken in an emergency."""

    def break_glass(self, grant: Grant, *, minutes: int, why: str) -> BreakGlass:
        place = {"role": grant.role, "level": grant.level, "name": grant.name}
        return self.link.post(BreakGlass, "/break-glass", {**place, "minutes": minutes, "why": why})

    def list_broken(self, *, over: bool) -> Sequence[BreakGlass]:
        return self.link.get(list[BreakGlass], "/break-glass", [("over", str(over).lower())])

    def give_back(self, name: BreakGlassId) -> BreakGlass:
        return self.link.post(BreakGlass, f"/break-glass/{path_part(name)}/end", {})
