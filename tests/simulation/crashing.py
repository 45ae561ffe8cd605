"""Ends the conductor where it hurts: around every port call, inside and after every transaction."""

from collections.abc import Callable, Sequence
from typing import Any

from fermata.ports import Site

PORTS = ("inventory", "workloads", "firmware", "power", "verifier", "notifier")


class Killed(BaseException):
    """The process is gone. Not an Exception: nothing may catch it."""


class Saboteur:
    """Counts every point passed; kills at those that `kills` names by number."""

    def __init__(self, kills: Callable[[int, str], bool]) -> None:
        self.passed = 0
        self.names: list[str] = []
        self.items: Sequence[Any] = ()  # of the port call that is about to be made
        self._kills = kills

    def __call__(self, point: str) -> None:
        self.passed += 1
        self.names.append(point)
        if self._kills(self.passed, point):
            raise Killed(point)

    def around(self, site: Site) -> Site:
        """The site with a point before and after every call."""
        return Site(**{name: _Port(getattr(site, name), name, self) for name in PORTS})


class _Port:
    def __init__(self, port: object, name: str, saboteur: Saboteur) -> None:
        self._port = port
        self._name = name
        self._saboteur = saboteur

    def __getattr__(self, verb: str) -> Callable[[Sequence[Any]], Any]:
        def call(items: Sequence[Any]) -> Any:
            self._saboteur.items = items
            self._saboteur(f"before {self._name}.{verb}")
            answer = getattr(self._port, verb)(items)
            self._saboteur(f"after {self._name}.{verb}")
            return answer

        return call
