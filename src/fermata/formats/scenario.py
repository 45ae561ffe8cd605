"""Reads a whole scenario folder: fleet/, updates.yaml, policy.yaml, campaign.yaml and, if there, approvals and
workloads.

Every file is judged before any fault is raised, and the files are checked against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fermata.domain.campaign import Campaign
from fermata.domain.fleet import Fleet
from fermata.domain.flights import as_flown
from fermata.domain.hashing import content_sha256, fleet_sha256
from fermata.domain.plans import InputHashes
from fermata.domain.policy import ConsentEntry, Policy
from fermata.domain.updates import Catalogue
from fermata.domain.workloads import WorkloadMap
from fermata.formats import approvals, references
from fermata.formats.campaign import decode_campaign
from fermata.formats.changes import Change
from fermata.formats.faults import FaultLog, raise_faults
from fermata.formats.fields import Document
from fermata.formats.fleet import decode_fleet
from fermata.formats.ledger import LedgerMaker
from fermata.formats.policy import decode_policy
from fermata.formats.updates import decode_updates
from fermata.formats.workloads import check_workloads, decode_workloads, find_workloads


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """All inputs of a plan. `ledger` None means that the folder records no consent, not that there is none to ask.

    `workloads` None: the folder says nothing of services.
    """

    fleet: Fleet
    catalogue: Catalogue
    policy: Policy
    campaign: Campaign
    ledger: tuple[ConsentEntry, ...] | None
    workloads: WorkloadMap | None = None

    @cached_property
    def flown(self) -> Catalogue:
        """The catalogue with the flights that its approvals let fly: what a plan is made from."""
        return as_flown(self.fleet, self.catalogue, self.policy, self.ledger or ())


def read_scenario(folder: Path, changes: Sequence[Change] = ()) -> Scenario:
    """Read the folder, as if `changes` stood in its files. Raises BadInput with the faults of all of them, in the order
    named above.
    """
    if not folder.is_dir():
        log = FaultLog(folder)
        log.add(
            "This is not a folder: a scenario is a folder with fleet/, updates.yaml, policy.yaml and campaign.yaml."
        )
        raise_faults([log])
    fleet, logs = decode_fleet(folder / "fleet")
    of_updates, of_policy, of_campaign = (
        Document(log=FaultLog(folder / f"{name}.yaml")) for name in ("updates", "policy", "campaign")
    )
    catalogue = decode_updates(of_updates.log.file, of_updates, changes)
    policy = decode_policy(of_policy.log.file, of_policy, changes)
    campaign = decode_campaign(of_campaign.log.file, of_campaign, changes)
    documents = [of_updates, of_policy, of_campaign]
    if catalogue and not len(of_updates.log):
        references.check_against_catalogue(of_campaign, catalogue)
    of_approvals = _approvals_document(folder)
    placed = approvals.decode_approvals(of_approvals.log.file, of_approvals) if of_approvals else []
    documents += [of_approvals] if of_approvals else []
    if fleet:
        references.check_against_fleet(documents, fleet, list(policy.customers) if policy else [])
    logs += [document.log for document in documents]
    at = find_workloads(folder)
    draft, of_workloads = decode_workloads(at) if at else (None, ())
    if draft and fleet:
        check_workloads(draft, fleet)
    logs += of_workloads
    ledger = None
    if of_approvals and fleet and catalogue and policy and campaign and not any(logs):
        ledger = LedgerMaker(fleet, catalogue, policy, campaign, of_approvals.log).entries(placed)
    raise_faults(logs)
    if not (fleet and catalogue and policy and campaign):
        raise AssertionError("files without faults are read")
    return Scenario(
        fleet=fleet,
        catalogue=catalogue,
        policy=policy,
        campaign=campaign,
        ledger=ledger,
        workloads=draft.workloads if draft else None,
    )


def input_hashes(scenario: Scenario) -> InputHashes:
    """SHA-256 of the content of each input, the same whatever form the files have; of updates with what flies where."""
    return InputHashes(
        fleet=fleet_sha256(scenario.fleet),
        updates=content_sha256(scenario.flown),
        policy=content_sha256(scenario.policy),
        campaign=content_sha256(scenario.campaign),
        workloads=content_sha256(scenario.workloads) if scenario.workloads else None,
    )


def _approvals_document(folder: Path) -> Document | None:
    """The log of the folder's one approvals file; None without one."""
    found = [path for suffix in approvals.SUFFIXES if (path := folder / f"approvals{suffix}").exists()]
    if not found:
        return None
    document = Document(log=FaultLog(found[0]))
    if len(found) > 1:
        document.log.add(f"{' and '.join(path.name for path in found)} stand side by side: keep one of them.")
    return document


def read_inventory(folder: Path) -> tuple[Fleet, Catalogue, Policy]:
    """Fleet, updates and policy of the folder, whatever else stands there. Raises BadInput with all their faults."""
    fleet, logs = decode_fleet(folder / "fleet")
    of_updates, of_policy = (Document(log=FaultLog(folder / f"{name}.yaml")) for name in ("updates", "policy"))
    catalogue = decode_updates(of_updates.log.file, of_updates)
    policy = decode_policy(of_policy.log.file, of_policy)
    if fleet:
        references.check_against_fleet([of_updates, of_policy], fleet, list(policy.customers) if policy else [])
    raise_faults([*logs, of_updates.log, of_policy.log])
    if not (fleet and catalogue and policy):
        raise AssertionError("files without faults are read")
    return fleet, catalogue, policy
