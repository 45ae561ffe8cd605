"""Adapters with a planted bug: a port as it is, but for some methods."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fermata.conformance import Bench
from fermata.domain.routing import PortName


@dataclass
class Bent:
    """A port as it is, but for some methods."""

    port: Any
    methods: Mapping[str, Callable[..., object]]

    def __getattr__(self, name: str) -> object:
        method = self.methods.get(name)
        return getattr(self.port, name) if method is None else lambda *given: method(self.port, *given)


def bend(port: PortName, **methods: Callable[..., object]) -> Callable[[Bench], None]:
    def bend_bench(bench: Bench) -> None:
        made = bench.reopen

        def bent(ports: Any) -> Any:
            return replace(ports, **{port.value: Bent(getattr(ports, port.value), methods)})

        bench.ports = bent(bench.ports)
        bench.reopen = (lambda: bent(made())) if made is not None else None

    return bend_bench


FORGETS = iter(range(10**6))


def raising(*_: object) -> object:
    raise KeyError("nodes")
