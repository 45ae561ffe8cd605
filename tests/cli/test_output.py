"""How tables and sentences fold: between words, never inside a number or a date, and without blanks at line ends."""

import io

import pytest
from rich.console import Console

from fermata.cli import output

ROWS = [
    ("h200-southcentralus-02", "2026-01-08", "because the limit is full on that day and on the next one, too", "12")
]


def printed(width: int) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, highlight=False)
    console.print(output.table("Title", ("cluster", "day", "why", "nodes"), ROWS, right=(3,)))
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_table_keeps_numbers_and_dates_whole_and_ends_no_line_with_blanks(width: int) -> None:
    lines = printed(width)
    assert lines[0] == "Title"
    assert any("2026-01-08" in line and "12" in line for line in lines)
    assert all(line == line.rstrip() and len(line) <= width for line in lines)
    assert "".join("".join(lines[2:]).split()).count("because") == 1


def test_sentence_is_one_line_in_a_pipe_and_folds_between_words_on_a_terminal() -> None:
    sentence = "  72 END_UNSURE_ROOM: " + "the day is too short for slow drains " * 4
    for terminal, lines_least in ((False, 1), (True, 3)):
        file = io.StringIO()
        output.say(sentence, console=Console(file=file, width=60, force_terminal=terminal, color_system=None))
        lines = file.getvalue().splitlines()
        assert len(lines) >= lines_least
        assert (len(lines) == 1) != terminal
        assert " ".join(file.getvalue().split()) == " ".join(sentence.split())
        if terminal:
            assert all(len(line) <= 60 for line in lines)
            assert all(line.startswith("    ") for line in lines[1:])
