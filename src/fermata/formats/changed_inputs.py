"""`KEY=VALUE` changes to a campaign on record, in the words of its files and refused as these would be: `--what-if`.

What is on record is written as its files would have it, changed there, and read again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from fermata.domain.campaign import Campaign
from fermata.domain.fleet import Fleet
from fermata.domain.policy import Freeze, Policy
from fermata.domain.updates import Catalogue
from fermata.formats import campaign as campaign_file
from fermata.formats import policy as policy_file
from fermata.formats import references
from fermata.formats import updates as updates_file
from fermata.formats.campaign_written import campaign_document
from fermata.formats.catalogue import catalogue_to_plain
from fermata.formats.changes import Change, ChangedFile, apply_changes, parse_change
from fermata.formats.faults import FaultLog, raise_faults
from fermata.formats.fields import Document
from fermata.formats.policy_written import policy_document
from fermata.formats.spots import Spot
from fermata.formats.yamltext import parse_yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class Changeable:
    """What changes may be made to. Of a policy they change freezes, of a catalogue how much a team does at once."""

    campaign: Campaign
    policy: Policy
    catalogue: Catalogue


def parse_changes(texts: Sequence[str]) -> tuple[Change, ...]:
    """Raises ValueError, with a sentence, for the first that is no change."""
    keys = (*campaign_file.ROOT_REQUIRED, *campaign_file.ROOT_OPTIONAL)
    return tuple(parse_change(text, keys=keys) for text in texts)


def change_inputs(found: Changeable, fleet: Fleet, changes: Sequence[Change]) -> Changeable:
    """With the changes, one after the other. Raises BadInput with every fault that a file with them would have."""
    touched = {change.file for change in changes}
    documents = {file: Document(log=FaultLog(Path(file.value))) for file in ChangedFile if file in touched}

    def read(file: ChangedFile, said: Mapping[str, Any]) -> Spot | None:
        log = documents[file].log
        root = parse_yaml(orjson.dumps(said).decode(), log)
        assert root is not None, "what we write ourselves is read"
        changed = apply_changes(root, changes, log, file)
        raise_faults([log])
        return changed

    campaign, policy, catalogue = found.campaign, found.policy, found.catalogue
    if (of := documents.get(ChangedFile.UPDATES)) is not None:
        root = read(ChangedFile.UPDATES, catalogue_to_plain(catalogue))
        if root is not None:
            catalogue = replace(catalogue, team_limits=updates_file.decode_root(of, root).team_limits)
    if (of := documents.get(ChangedFile.POLICY)) is not None:
        root = read(ChangedFile.POLICY, policy_document(policy))
        if root is not None:
            policy = replace(policy, freezes=_kept(policy.freezes, policy_file.decode_root(of, root).freezes))
    if (of := documents.get(ChangedFile.CAMPAIGN)) is not None:
        root = read(ChangedFile.CAMPAIGN, campaign_document(campaign))
        if root is not None:
            campaign = campaign_file.decode_root(of, root)
            references.check_against_catalogue(of, catalogue)
    customers = sorted(policy.customers)
    references.check_against_fleet(list(documents.values()), fleet, customers)
    raise_faults([document.log for document in documents.values()])
    return Changeable(campaign=campaign, policy=policy, catalogue=catalogue)


def _kept(before: Sequence[Freeze], after: Sequence[Freeze]) -> tuple[Freeze, ...]:
    """Those that the file says otherwise as it says them, the others as they were: a file says seconds alone."""
    said = {freeze.id: freeze for freeze in before}

    def is_same(freeze: Freeze) -> bool:
        was = said.get(freeze.id)
        return was is not None and freeze == replace(
            was, start=was.start.replace(microsecond=0), end=was.end.replace(microsecond=0)
        )

    return tuple(said[freeze.id] if is_same(freeze) else freeze for freeze in after)
