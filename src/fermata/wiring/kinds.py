"""Which kinds of adapters there are: the modules of the folder `adapters` that name a KIND, and those that other
packages register under the entry-point group `fermata.adapters`.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import fermata.adapters
from fermata.domain.routing import PortName
from fermata.formats.site import SettingsModel
from fermata.ports import AdapterPorts, Clock

GROUP = "fermata.adapters"
BUILT_IN = "fermata"
_KIND = re.compile(r"^KIND(?:\s*:[^=\n]+)?\s*=\s*[\"']([^\"']+)[\"']", re.MULTILINE)
_FIRST_SENTENCE = re.compile(r".*?[.](?=\s|$)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterKind:
    """One kind. `origin`: the package that brings it, with its version where that is not ours."""

    kind: str
    origin: str
    ports: frozenset[PortName]
    settings: SettingsModel
    build: Callable[..., AdapterPorts]
    summary: str
    description: str

    def open(self, settings: object, clock: Clock) -> AdapterPorts:
        """Builds an adapter; nobody is called. Raises Refused when the settings cannot be used."""
        return self.build(settings, clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnusableKind:
    """A kind that is there and cannot be loaded; `why` says what to do."""

    kind: str
    origin: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KindBook:
    """All kinds by name. What cannot be used does not keep the others from being used."""

    kinds: Mapping[str, AdapterKind]
    unusable: Mapping[str, UnusableKind]


class NotAnAdapter(Exception):
    """A module that lacks something of an adapter; the message says what."""


def list_kinds() -> KindBook:
    """Every kind, ours first. Another package cannot take the name of one of ours, nor two the same one."""
    kinds: dict[str, AdapterKind] = {}
    unusable: dict[str, UnusableKind] = {}
    for module, kind in _find_built_in():
        _add(kind, BUILT_IN, partial(import_module, module), kinds, unusable)
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else entry.value
        _add(entry.name, origin, entry.load, kinds, unusable)
    return KindBook(kinds=kinds, unusable=unusable)


def _find_built_in() -> Sequence[tuple[str, str]]:
    """Modules and their kinds, which their files are named after. None is imported: some need libraries that are not
    always there.
    """
    found: list[tuple[str, str]] = []
    for folder in map(Path, fermata.adapters.__path__):
        for info in iter_modules([str(folder)]):
            files = sorted((folder / info.name).glob("*.py")) if info.ispkg else [folder / f"{info.name}.py"]
            named = {kind for file in files for kind in _KIND.findall(file.read_text(encoding="utf-8"))}
            if info.name in named:
                found.append((f"fermata.adapters.{info.name}", info.name))
    return sorted(found)


def _add(
    kind: str,
    origin: str,
    load: Callable[[], object],
    kinds: dict[str, AdapterKind],
    unusable: dict[str, UnusableKind],
) -> None:
    if kind in kinds:
        taken = f"{kind} ({origin})"
        why = f"{kinds[kind].origin} has a kind {kind} already: uninstall one of the two"
        unusable[taken] = UnusableKind(kind=kind, origin=origin, why=why)
        return
    try:
        kinds[kind] = read_kind(kind, origin, load())
    except ImportError as error:
        why = f"it needs what is not installed here: {error}"
        unusable[kind] = UnusableKind(kind=kind, origin=origin, why=why)
    except NotAnAdapter as lacking:
        unusable[kind] = UnusableKind(kind=kind, origin=origin, why=str(lacking))
    except Exception as error:  # noqa: BLE001 - what others wrote may raise anything, and must not keep ours from work
        unusable[kind] = UnusableKind(
            kind=kind, origin=origin, why=f"it fails to load: {type(error).__name__}: {error}"
        )


def read_kind(kind: str, origin: str, module: object) -> AdapterKind:
    """The kind that a module is. Raises NotAnAdapter."""
    if not isinstance(module, ModuleType):
        raise NotAnAdapter(f"it is no module but {type(module).__name__}: the entry point names the module itself")
    lacking = [name for name in ("KIND", "PORTS", "Settings", "build") if not hasattr(module, name)]
    if lacking:
        raise NotAnAdapter(f"{module.__name__} has no {' and no '.join(lacking)}")
    if kind != module.KIND:
        raise NotAnAdapter(f"{module.__name__} says KIND = {module.KIND!r} and is registered as {kind!r}")
    unknown = sorted(set(module.PORTS) - {port.value for port in PortName})
    if unknown or not module.PORTS:
        names = ", ".join(port.value for port in PortName)
        raise NotAnAdapter(f"PORTS of {module.__name__} names {', '.join(unknown) or 'nothing'}; ports are: {names}")
    if not (isinstance(module.Settings, type) and hasattr(module.Settings, "model_validate")):
        raise NotAnAdapter(f"Settings of {module.__name__} is no pydantic model")
    description = inspect.getdoc(module) or ""
    if not description:
        raise NotAnAdapter(f"{module.__name__} has no docstring: its first sentence says what the target is")
    first = _FIRST_SENTENCE.match(description)
    return AdapterKind(
        kind=kind,
        origin=origin,
        ports=frozenset(PortName(name) for name in module.PORTS),
        settings=module.Settings,
        build=module.build,
        summary=" ".join((first[0] if first else description).split()),
        description=description,
    )
