"""The stored policy."""

from dataclasses import dataclass, replace
from pathlib import Path

from fermata.client.part import Part
from fermata.formats.faults import BadInput
from fermata.services.policy import PolicyPreview, PolicyView


@dataclass(frozen=True, slots=True)
class PolicyVerbs(Part):
    """The stored policy."""

    def show_policy(self) -> PolicyView:
        return self.link.get(PolicyView, "/policy")

    def preview_policy(self, path: Path) -> PolicyPreview:
        return self._send(path, "POST", "/policy/preview", {}, None)

    def replace_policy(self, path: Path, *, actor: str, why: str, seen: str | None) -> PolicyPreview:
        return self._send(path, "PUT", "/policy", {"actor": actor, "why": why}, seen)

    def _send(self, path: Path, method: str, where: str, said: dict[str, str], seen: str | None) -> PolicyPreview:
        headers = {"If-Match": f'"{seen}"'} if seen is not None else {}
        files = [("file", (path.name, path.read_bytes()))]
        try:
            return self.link.upload(PolicyPreview, where, said, files, method=method, headers=headers)
        except BadInput as bad:  # told of the file as it is called here
            raise BadInput(tuple(replace(fault, file=str(path)) for fault in bad.faults), bad.total) from bad
