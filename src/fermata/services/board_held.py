"""What holds work, or waits for a person, as the board's banner tells it: each with what to do about it. Pure."""

from collections.abc import Iterable, Sequence

from fermata.domain.ids import RunId
from fermata.domain.intents import Intent, Intents, ScopeKind
from fermata.domain.inventory_holds import Hold
from fermata.services.board_views import Held

NODES_TOLD = 5  # held one by one: more are counted, the board is read at a glance
OF_ALL_RUNS = frozenset({ScopeKind.BRAKE, ScopeKind.FLEET, ScopeKind.NODE})


def words_for(intents: Intents, run: RunId | None, brake: Intent | None) -> tuple[Intent, ...]:
    """The words in force for a run, or for any run while none is shown, the widest first. `brake`: what the file of
    this machine says, which holds even if the store does not know of it.
    """
    words = intents.about(run or RunId(""))
    if run is None:
        words = tuple(word for word in words if word.kind in OF_ALL_RUNS)
    is_known = any(word.kind is ScopeKind.BRAKE for word in words)
    return words if brake is None or is_known else (brake, *words)


def tell_words(words: Sequence[Intent]) -> tuple[Held, ...]:
    """The widest words one by one, those on single nodes counted if they are many."""
    nodes = [word for word in words if word.kind is ScopeKind.NODE]
    told = [_tell_word(word) for word in words if word.kind is not ScopeKind.NODE]
    if len(nodes) > NODES_TOLD:
        return (*told, Held(sentence=f"{len(nodes)} nodes are held one by one.", commands=("fermata status",)))
    return (*told, *(_tell_word(word) for word in nodes))


def tell_holds(holds: Iterable[Hold]) -> tuple[Held, ...]:
    """Changes of inventory that nobody decided yet."""
    return tuple(
        Held(
            sentence=f"{' '.join(why.sentence for why in hold.reasons)} Held since {hold.held_at:%Y-%m-%d %H:%MZ}.",
            commands=(
                f"fermata inventory held {hold.id}",
                f"fermata inventory accept {hold.id} --why ...",
                f"fermata inventory drop {hold.id} --why ...",
            ),
        )
        for hold in holds
    )


def _tell_word(word: Intent) -> Held:
    command = word.taken_back_by
    return Held(sentence=word.told, commands=(command,) if command else ())
