"""What several operators' words come to: of each scope the newest counts, and whatever any forbids is forbidden."""

from datetime import UTC, datetime
from itertools import product

import pytest

from fermata.domain.ids import RunId, WindowId
from fermata.domain.intents import EVERYWHERE, Intent, Intents, ScopeKind, combine, say_paused, window_scope
from fermata.domain.run_states import Desired

AT = datetime(2026, 1, 5, tzinfo=UTC)
RUN, WINDOW, NODE = RunId("run_1"), WindowId("win-1"), "n001"
SCOPES = {
    ScopeKind.NODE: NODE,
    ScopeKind.WINDOW: window_scope(RUN, WINDOW),
    ScopeKind.RUN: RUN,
    ScopeKind.FLEET: EVERYWHERE,
}
# wider, narrower -> does anything new begin, is anything new taken, does what is taken go back at once
COMBINED = {
    ("run", "run"): (True, True, False),
    ("run", "pause"): (False, True, False),
    ("run", "stop"): (True, False, False),
    ("run", "abort"): (True, False, True),
    ("pause", "run"): (False, True, False),
    ("pause", "pause"): (False, True, False),
    ("pause", "stop"): (False, False, False),
    ("pause", "abort"): (False, False, True),
    ("stop", "run"): (True, False, False),
    ("stop", "pause"): (False, False, False),
    ("stop", "stop"): (True, False, False),
    ("stop", "abort"): (True, False, True),
    ("abort", "run"): (True, False, True),
    ("abort", "pause"): (False, False, True),
    ("abort", "stop"): (True, False, True),
    ("abort", "abort"): (True, False, True),
}


def word(kind: ScopeKind, desired: Desired, scope: str | None = None) -> Intent:
    named = SCOPES.get(kind, EVERYWHERE) if scope is None else scope
    return Intent(kind=kind, scope=named, desired=desired, actor="ann", why="smoke", at=AT)


def told(*words: Intent) -> tuple[bool, bool, bool]:
    found = Intents(words=tuple(w for w in words if w.desired is not Desired.RUN)).of_node(RUN, WINDOW, NODE)
    return found.pause is None, found.end is None, found.abort is not None


def test_the_table_names_every_pair() -> None:
    assert set(COMBINED) == set(product((d.value for d in Desired), repeat=2))


@pytest.mark.parametrize(("wider", "narrower"), list(product((ScopeKind.FLEET, ScopeKind.RUN), SCOPES)))
@pytest.mark.parametrize(("pair", "outcome"), COMBINED.items())
def test_words_of_two_scopes_combine_by_the_table(
    wider: ScopeKind, narrower: ScopeKind, pair: tuple[str, str], outcome: tuple[bool, bool, bool]
) -> None:
    other = narrower if narrower is not wider else ScopeKind.WINDOW
    assert told(word(wider, Desired(pair[0])), word(other, Desired(pair[1]))) == outcome


def test_words_about_others_change_nothing() -> None:
    others = (
        word(ScopeKind.NODE, Desired.ABORT, "n002"),
        word(ScopeKind.WINDOW, Desired.ABORT, window_scope(RUN, WindowId("win-2"))),
        word(ScopeKind.WINDOW, Desired.ABORT, window_scope(RunId("run_2"), WINDOW)),
        word(ScopeKind.RUN, Desired.ABORT, "run_2"),
    )
    assert told(*others) == (True, True, False)


def test_the_widest_word_that_forbids_is_named() -> None:
    found = combine([word(ScopeKind.NODE, Desired.PAUSE), word(ScopeKind.FLEET, Desired.PAUSE)])
    assert found.pause is not None
    assert found.pause.kind is ScopeKind.FLEET


def test_the_brake_pauses_everything_and_is_named_before_all_else() -> None:
    brake = word(ScopeKind.BRAKE, Desired.PAUSE)
    found = Intents(words=(word(ScopeKind.FLEET, Desired.PAUSE), brake)).of_node(RUN, WINDOW, NODE)
    assert found.pause is brake


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        (ScopeKind.NODE, "fermata resume --node n001"),
        (ScopeKind.WINDOW, "fermata resume --window win-1"),
        (ScopeKind.RUN, "fermata resume"),
        (ScopeKind.FLEET, "fermata resume --fleet"),
        (ScopeKind.BRAKE, "fermata brake off"),
    ],
)
def test_who_is_held_reads_who_held_it_why_and_the_command_that_lets_go(kind: ScopeKind, command: str) -> None:
    sentence = say_paused(word(kind, Desired.PAUSE), NODE).sentence
    assert "ann: smoke" in sentence
    assert f"`{command}" in sentence
