"""The proof of return: every piece of evidence is needed, each lack is named, and nothing else is said."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermata.domain.ids import DeviceId, NodeId, UpdateId
from fermata.domain.node_states import UnitState
from fermata.domain.readmission import (
    CHECK_GOOD_FOR,
    FRESH_FOR,
    Case,
    Evidence,
    NotReadmitted,
    Reading,
    Readmitted,
    Target,
    judge,
)
from fermata.domain.reasons import Code, reason

NOW = datetime(2026, 1, 5, 22, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
GAP = reason(Code.APPROVAL_WITHDRAWN, actor="lumen", scope="node n1", at="21:00", request="req_sc")
WHOLE = Case(
    node=NodeId("n1"),
    targets=(
        Target(update=UpdateId("nic"), component="nic_fw", version="2.0"),
        Target(update=UpdateId("gpu"), component="gpu_fw", version="3.1"),
    ),
    evidence=Evidence(
        changed_at=NOW - 20 * MINUTE,
        checked_at=NOW - 2 * MINUTE,
        healthy=True,
        reading=Reading(
            at=NOW - MINUTE,
            versions={"nic_fw": "2.0", "gpu_fw": "3.1"},
            reachable=True,
            in_service=False,
            locked=True,
        ),
    ),
    gaps=(),
    devices={},
    under_way="",
    astray_since=None,
)


def reading(case: Case, **changes: object) -> Case:
    assert case.evidence.reading is not None
    return evidence(case, reading=replace(case.evidence.reading, **changes))  # type: ignore[arg-type]


def evidence(case: Case, **changes: object) -> Case:
    return replace(case, evidence=replace(case.evidence, **changes))  # type: ignore[arg-type]


def versions(case: Case, component: str, version: str) -> Case:
    assert case.evidence.reading is not None
    return reading(case, versions={**case.evidence.reading.versions, component: version})


Spoil = Callable[[Case], Case]
SPOILS: dict[str, tuple[Code, Spoil]] = {
    "never read": (Code.RETURN_NOT_READ, lambda c: evidence(c, reading=None)),
    "cannot be reached": (Code.RETURN_NOT_READ, lambda c: reading(c, reachable=False)),
    "read too long ago": (Code.RETURN_READ_STALE, lambda c: reading(c, at=NOW - FRESH_FOR - timedelta(seconds=1))),
    "read in the future": (Code.RETURN_READ_AHEAD, lambda c: reading(c, at=NOW + timedelta(seconds=1))),
    "read before the last change": (Code.RETURN_READ_EARLY, lambda c: reading(c, at=NOW - 21 * MINUTE)),
    "an old version": (Code.RETURN_VERSION, lambda c: versions(c, "nic_fw", "1.9")),
    "no version": (Code.RETURN_VERSION, lambda c: versions(c, "gpu_fw", "")),
    "never checked": (Code.RETURN_UNCHECKED, lambda c: evidence(c, checked_at=None)),
    "unhealthy": (Code.RETURN_UNHEALTHY, lambda c: evidence(c, healthy=False)),
    "checked before the last change": (Code.RETURN_CHECK_EARLY, lambda c: evidence(c, checked_at=NOW - 21 * MINUTE)),
    "checked too long ago": (
        Code.RETURN_CHECK_STALE,
        lambda c: evidence(c, changed_at=None, checked_at=NOW - CHECK_GOOD_FOR - timedelta(seconds=1)),
    ),
    "lock lost": (Code.RETURN_UNLOCKED, lambda c: reading(c, locked=False)),
    "lock unknown": (Code.RETURN_UNLOCKED, lambda c: reading(c, locked=None)),
    "in service": (Code.RETURN_IN_SERVICE, lambda c: reading(c, in_service=True)),
    "astray": (Code.RETURN_ASTRAY, lambda c: replace(c, astray_since=NOW - MINUTE)),
    "consent not asked": (Code.RETURN_CONSENT_UNASKED, lambda c: replace(c, gaps=None)),
    "consent withdrawn": (Code.RETURN_CONSENT, lambda c: replace(c, gaps=(GAP,))),
    "device failed": (Code.RETURN_DEVICE, lambda c: replace(c, devices={DeviceId("tor"): UnitState.FAILED})),
    "step under way": (Code.RETURN_UNDER_WAY, lambda c: replace(c, under_way="its reboot")),
}


def missing(case: Case, now: datetime = NOW) -> list[Code]:
    verdict = judge(case, now)
    return [why.code for why in verdict.missing] if isinstance(verdict, NotReadmitted) else []


def test_with_every_piece_the_node_goes_back_and_each_component_is_named() -> None:
    verdict = judge(WHOLE, NOW)
    assert isinstance(verdict, Readmitted)
    assert [(p.update, p.component, p.version, p.seen_at) for p in verdict.proven] == [
        ("nic", "nic_fw", "2.0", NOW - MINUTE),
        ("gpu", "gpu_fw", "3.1", NOW - MINUTE),
    ]


@pytest.mark.parametrize(("code", "spoil"), SPOILS.values(), ids=SPOILS.keys())
def test_without_any_one_piece_the_answer_is_no_and_names_exactly_that_piece(code: Code, spoil: Spoil) -> None:
    assert missing(spoil(WHOLE)) == [code]


INDEPENDENT = ("never checked", "an old version", "lock lost", "in service", "astray", "consent withdrawn",
               "device failed", "step under way", "read too long ago")  # fmt: skip


@given(chosen=st.sets(st.sampled_from(INDEPENDENT), min_size=1))
def test_the_whole_list_is_told_not_only_the_first(chosen: set[str]) -> None:
    case = WHOLE
    for name in sorted(chosen):
        case = SPOILS[name][1](case)
    assert sorted(missing(case)) == sorted(SPOILS[name][0] for name in chosen)


minutes = st.integers(min_value=-60, max_value=10)


@given(read=minutes, checked=minutes, changed=st.none() | minutes)
def test_a_yes_is_read_and_checked_after_the_last_change_and_lately(
    read: int, checked: int, changed: int | None
) -> None:
    case = reading(WHOLE, at=NOW + read * MINUTE)
    changed_at = None if changed is None else NOW + changed * MINUTE
    case = evidence(case, checked_at=NOW + checked * MINUTE, changed_at=changed_at)
    after = changed is None or (read >= changed and checked >= changed)
    lately = -FRESH_FOR // MINUTE <= read <= 0 and checked <= 0
    assert isinstance(judge(case, NOW), Readmitted) is (after and lately)


@given(later=st.integers(min_value=0, max_value=3_000))
def test_a_yes_grows_old_and_never_comes_back_by_itself(later: int) -> None:
    assert isinstance(judge(WHOLE, NOW + later * MINUTE), Readmitted) is (later <= 4)


@given(
    versions=st.fixed_dictionaries({}, optional={"nic_fw": st.sampled_from(["", "1.9", "2.0", "2.1"]),
                                                 "gpu_fw": st.sampled_from(["", "3.0", "3.1"])}),
    reachable=st.booleans(),
    in_service=st.booleans(),
    locked=st.sampled_from([True, False, None]),
    healthy=st.booleans(),
    gaps=st.sampled_from([None, (), (GAP,)]),
)  # fmt: skip
def test_no_evidence_that_lacks_something_is_ever_a_yes(
    versions: dict[str, str],
    reachable: bool,
    in_service: bool,
    locked: bool | None,
    healthy: bool,
    gaps: tuple[object, ...] | None,
) -> None:
    case = reading(WHOLE, versions=versions, reachable=reachable, in_service=in_service, locked=locked)
    case = replace(evidence(case, healthy=healthy), gaps=gaps)  # type: ignore[arg-type]
    whole = (
        versions.get("nic_fw") in ("2.0", "2.1")
        and versions.get("gpu_fw") == "3.1"
        and (reachable, in_service, locked, healthy, gaps) == (True, False, True, True, ())
    )
    assert isinstance(judge(case, NOW), Readmitted) is whole


def test_node_with_nothing_targeted_still_needs_its_lock_its_check_and_a_look() -> None:
    bare = replace(WHOLE, targets=())
    assert isinstance(judge(bare, NOW), Readmitted)
    assert missing(evidence(bare, reading=None)) == [Code.RETURN_NOT_READ]
    assert missing(reading(bare, locked=False)) == [Code.RETURN_UNLOCKED]
    assert missing(evidence(bare, checked_at=None)) == [Code.RETURN_UNCHECKED]


@pytest.mark.parametrize("name", sorted(SPOILS))
def test_every_sentence_names_the_node(name: str) -> None:
    verdict = judge(SPOILS[name][1](WHOLE), NOW)
    assert isinstance(verdict, NotReadmitted)
    assert all("n1" in why.sentence for why in verdict.missing)
