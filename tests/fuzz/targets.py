"""All targets of the fuzzers, by name."""

from tests.fuzz.answer_targets import list_answer_targets
from tests.fuzz.door_targets import list_door_targets
from tests.fuzz.file_targets import list_file_targets
from tests.fuzz.shown_targets import list_shown_targets
from tests.fuzz.target import Target
from tests.fuzz.text_targets import list_text_targets


def list_targets() -> dict[str, Target]:
    """In the order of their names."""
    every = (
        *list_file_targets(),
        *list_text_targets(),
        *list_answer_targets(),
        *list_door_targets(),
        *list_shown_targets(),
    )
    return {target.name: target for target in sorted(every, key=lambda target: target.name)}
