"""Which files an import is made of, and what they hold: the same for the command line and for uploads to a server."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path

from fermata.formats import approvals, tablefiles
from fermata.formats.campaign import read_campaign
from fermata.formats.fleet import read_fleet
from fermata.formats.policy import read_policy
from fermata.formats.scenario import read_scenario
from fermata.formats.updates import read_updates
from fermata.formats.workloads import FILE as WORKLOADS_FILE
from fermata.formats.workloads import TABLE as WORKLOADS_TABLE
from fermata.formats.workloads import read_workloads
from fermata.services.inventory import ImportSet

FLEET_FOLDER = "fleet"
TABLES = ("clusters", "nodes", "devices")


class ImportKind(StrEnum):
    """What is imported. A scenario is a folder with all of the others."""

    FLEET = "fleet"
    UPDATES = "updates"
    POLICY = "policy"
    CAMPAIGN = "campaign"
    WORKLOADS = "workloads"
    SCENARIO = "scenario"


def read_import(kind: ImportKind, path: Path) -> ImportSet:
    """Reads the file, or the folder of a fleet or a scenario. Raises BadInput with all faults of all files."""
    match kind:
        case ImportKind.FLEET:
            return ImportSet(fleet=read_fleet(path))
        case ImportKind.UPDATES:
            return ImportSet(catalogue=read_updates(path))
        case ImportKind.POLICY:
            return ImportSet(policy=read_policy(path))
        case ImportKind.CAMPAIGN:
            return ImportSet(campaign=read_campaign(path))
        case ImportKind.WORKLOADS:
            return ImportSet(workloads=read_workloads(path))
        case ImportKind.SCENARIO:
            read = read_scenario(path)
            return ImportSet(
                fleet=read.fleet,
                catalogue=read.catalogue,
                policy=read.policy,
                campaign=read.campaign,
                workloads=read.workloads,
            )


def list_names(kind: ImportKind) -> frozenset[str]:
    """The names that files of such an import may have, relative to the folder."""
    match kind:
        case ImportKind.FLEET:
            return frozenset(_tables())
        case ImportKind.UPDATES | ImportKind.POLICY | ImportKind.CAMPAIGN:
            return frozenset({f"{kind}.yaml"})
        case ImportKind.WORKLOADS:
            return frozenset({WORKLOADS_FILE, WORKLOADS_TABLE})
        case ImportKind.SCENARIO:
            documents = {"updates.yaml", "policy.yaml", "campaign.yaml"}
            said = {f"approvals{suffix}" for suffix in approvals.SUFFIXES}
            carried = {WORKLOADS_FILE, WORKLOADS_TABLE}
            return frozenset({f"{FLEET_FOLDER}/{name}" for name in _tables()} | documents | said | carried)


def find_files(kind: ImportKind, path: Path) -> Mapping[str, Path]:
    """The files that `read_import` reads there, by the name that `list_names` has for them."""
    if kind in {ImportKind.FLEET, ImportKind.SCENARIO}:
        return {name: path / name for name in sorted(list_names(kind)) if (path / name).is_file()}
    if kind is ImportKind.WORKLOADS:
        beside = path.with_name(WORKLOADS_TABLE)
        return {WORKLOADS_FILE: path} | ({WORKLOADS_TABLE: beside} if beside.is_file() else {})
    (name,) = list_names(kind)
    return {name: path}


def place_of(kind: ImportKind, folder: Path) -> Path:
    """What `read_import` takes when the files stand in `folder` under the names of `list_names`."""
    if kind in {ImportKind.FLEET, ImportKind.SCENARIO}:
        return folder
    if kind is ImportKind.WORKLOADS:
        return folder / WORKLOADS_FILE
    (name,) = list_names(kind)
    return folder / name


def _tables() -> Iterator[str]:
    for table in TABLES:
        for suffix in tablefiles.SUFFIXES:
            yield f"{table}{suffix}"
