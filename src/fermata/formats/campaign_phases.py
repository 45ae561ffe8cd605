"""The phases of `campaign.yaml`: who goes first, what evidence lets the others follow, and what stops an update."""

from datetime import timedelta

from fermata.domain.ids import UpdateId
from fermata.domain.phases import (
    CONTROL_FRACTION_MAX,
    DEFAULT_PHASES,
    ControlPhase,
    Counted,
    GateTerms,
    GoPhase,
    HardStops,
    OnFailure,
    Phases,
    SequentialTest,
)
from fermata.formats.fields import Fields, check_choice, check_unique

PHASES_KEYS = ("counts", "bake_minutes", "test", "stops", "on_failure", "control", "metrics", "go")
TEST_KEYS = ("false_stop", "missed_stop", "worse_factor", "worse_by")
STOPS_KEYS = ("first_failed", "of_first", "rack_failed", "rack_share")
GO_KEYS = ("windows", "updates")
CONTROL_KEYS = ("max_fraction", "at_least", "bake_minutes", "decide_within_hours", "on_failure")
BAKE_MINUTES_MAX = 7 * 24 * 60
HOURS_MAX = 30 * 24
NODES_MAX = 100_000
FACTOR_MAX = 100.0
ERROR_MAX = 0.5  # a test that is wrong more often than a coin is none


def decode_phases(top: Fields) -> Phases:
    """What stands under `phases`; every gate as it is by itself where nothing does."""
    if not top.spot("phases"):
        return DEFAULT_PHASES
    fields = top.fields("phases", optional=PHASES_KEYS)
    full = GateTerms(
        counts=_counts(fields),
        bake=_bake(fields, DEFAULT_PHASES.full.bake),
        test=_test(fields),
        stops=_stops(fields),
        on_failure=fields.choice("on_failure", OnFailure),
    )
    metrics = fields.names("metrics")
    if metrics and Counted.REGRESSED not in full.counts:
        fields.fault("metrics", "They are evidence of nodes that regressed, which counts does not list.")
    control = _control(fields, full) if fields.spot("control") else None
    windows, updates = _go(fields) if fields.spot("go") else (frozenset(), frozenset())
    return Phases(control=control, full=full, metrics=metrics, go_windows=windows, go_updates=updates)


def _go(fields: Fields) -> tuple[frozenset[GoPhase], frozenset[UpdateId]]:
    """What waits for a person's go: windows of these phases, and these updates."""
    go = fields.fields("go", optional=GO_KEYS)
    spots = go.items("windows")
    check_unique(spots, fields.document.log, "Phase")
    allowed = [phase.value for phase in GoPhase]
    windows = frozenset(GoPhase(check_choice(spot, fields.document.log, allowed)) for spot in spots)
    go.refer("update", "updates")
    updates = go.names("updates")
    if not windows and not updates:
        fields.fault("go", "It names neither windows nor updates, so nothing would wait for a go: leave the key out.")
    return windows, frozenset(UpdateId(name) for name in updates)


def _control(fields: Fields, full: GateTerms) -> ControlPhase:
    control, usual = fields.fields("control", optional=CONTROL_KEYS), ControlPhase()
    within = usual.gate.decide_within
    if control.has("decide_within_hours"):
        within = timedelta(hours=control.integer("decide_within_hours", least=1, most=HOURS_MAX))
    fraction = usual.max_fraction
    if control.has("max_fraction"):
        fraction = control.number("max_fraction", most=CONTROL_FRACTION_MAX)
    at_least = usual.gate.at_least
    if control.has("at_least"):
        at_least = control.integer("at_least", least=1, most=NODES_MAX)
    gate = GateTerms(
        counts=full.counts,
        at_least=at_least,
        decide_within=within,
        bake=_bake(control, full.bake),
        test=full.test,
        stops=full.stops,
        on_failure=control.choice("on_failure", OnFailure) if control.has("on_failure") else full.on_failure,
    )
    return ControlPhase(max_fraction=fraction, gate=gate)


def _counts(fields: Fields) -> frozenset[Counted]:
    if not fields.has("counts"):
        return DEFAULT_PHASES.full.counts
    spots = fields.items("counts")
    check_unique(spots, fields.document.log, "Evidence")
    if not spots:
        fields.fault("counts", "No evidence is listed: a gate that counts nothing never stops anything.")
    allowed = [counted.value for counted in Counted]
    return frozenset(Counted(check_choice(spot, fields.document.log, allowed)) for spot in spots)


def _bake(fields: Fields, usual: timedelta) -> timedelta:
    if not fields.has("bake_minutes"):
        return usual
    return timedelta(minutes=fields.integer("bake_minutes", most=BAKE_MINUTES_MAX))


def _test(fields: Fields) -> SequentialTest:
    test, usual = fields.fields("test", optional=TEST_KEYS), SequentialTest()

    def number(key: str, stand_in: float, *, least: float = 0.0, most: float) -> float:
        return test.number(key, least=least, most=most) if test.has(key) else stand_in

    return SequentialTest(
        false_stop=number("false_stop", usual.false_stop, most=ERROR_MAX),
        missed_stop=number("missed_stop", usual.missed_stop, most=ERROR_MAX),
        worse_factor=number("worse_factor", usual.worse_factor, least=1.0, most=FACTOR_MAX),
        worse_by=number("worse_by", usual.worse_by, most=1.0),
    )


def _stops(fields: Fields) -> HardStops:
    stops, usual = fields.fields("stops", optional=STOPS_KEYS), HardStops()

    def whole(key: str, stand_in: int) -> int:
        return stops.integer(key, least=1, most=NODES_MAX) if stops.has(key) else stand_in

    found = HardStops(
        first_failed=whole("first_failed", usual.first_failed),
        of_first=whole("of_first", usual.of_first),
        rack_failed=whole("rack_failed", usual.rack_failed),
        rack_share=stops.number("rack_share", most=1.0) if stops.has("rack_share") else usual.rack_share,
    )
    if found.first_failed > found.of_first:
        stops.fault("of_first", f"It must not be less than first_failed, {found.first_failed}.")
    return found
