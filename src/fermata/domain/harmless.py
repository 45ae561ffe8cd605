"""Text that came from elsewhere, made harmless for whoever shows it: a terminal, a spreadsheet, a chat.

Files and the API refuse such characters in names already; what is in a store, or an answer of others, may have them.
"""

import re

HIDING = (  # marks that turn text around, that nobody sees, or that only interpreters of text know
    r"\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
)
CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_IN_A_LINE = re.compile(f"[{CONTROLS}{HIDING}]")
_IN_LINES = re.compile(rf"(?![\t\n])[{CONTROLS}{HIDING}]")
_FORMULA = re.compile(r"\s*[=+\-@\t\r]")
_MENTION = re.compile(r"@(?=\w)")
_LINK = re.compile(r"\](?=[(\[])")


def show_line(text: str) -> str:
    """On one line, with what a terminal would obey written as its number."""
    return _IN_A_LINE.sub(_number, text)


def show_lines(text: str) -> str:
    """The same, with its lines and tabs left as they are."""
    return _IN_LINES.sub(_number, text)


def escape_json(text: str) -> str:
    """JSON that means the same, with those characters written as JSON's own escapes."""
    return _IN_LINES.sub(lambda found: "".join(f"\\u{unit:04x}" for unit in _units(found[0])), text)


def quote_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: one that begins like it gets an apostrophe in front."""
    return f"'{text}" if _FORMULA.match(text) else text


def unmark(text: str) -> str:
    """For rooms and pages that read markup: nobody is called by an @, no link says another place than it leads to, and
    what stands in angle brackets is no tag.
    """
    plain = show_lines(text).replace("<", "‹").replace(">", "›")
    return _LINK.sub("] ", _MENTION.sub("@ ", plain))


def _number(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _units(letter: str) -> tuple[int, ...]:
    number = ord(letter)
    if number < 0x10000:
        return (number,)
    return 0xD800 + ((number - 0x10000) >> 10), 0xDC00 + ((number - 0x10000) & 0x3FF)
