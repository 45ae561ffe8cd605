"""Names that are no single word, as addresses of e-mail or two words are, where they stand in what somebody wrote."""

import re
from collections.abc import Iterable, Iterator, Mapping

_WORD = re.compile(r"[\w.\-]*\w")  # what whoever looks for names word by word takes for one
_RUN = re.compile(r"[^\W_]+")  # no letter or digit of a longer word stands beside a name


def is_word(name: str) -> bool:
    """Whether who looks word by word finds that name."""
    return _WORD.fullmatch(name) is not None


class Phrases:
    """Finds any of some names in texts, whatever their case. It takes as long as the text is, however many they are.
    One without any letter or digit is not found.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_run: dict[str, list[tuple[str, int]]] = {}
        for name in sorted(set(names), key=lambda each: (-len(each), each)):
            first = _RUN.search(name)
            if first is not None:
                self._by_run.setdefault(first[0].casefold(), []).append((name, first.start()))

    def find(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Where each begins and ends, from left to right, and which it is: of several the longest."""
        after = 0
        for run in _RUN.finditer(text):
            for name, ahead in self._by_run.get(run[0].casefold(), ()):
                start = run.start() - ahead
                end = start + len(name)
                if start >= after and text[start:end].casefold() == name.casefold() and _is_apart(text, start, end):
                    yield start, end, name
                    after = end
                    break

    def replace(self, text: str, instead: Mapping[str, str]) -> str:
        """The text with others of these names in place of those that have one."""
        parts, after = [], 0
        for start, end, name in self.find(text):
            parts += [text[after:start], instead.get(name, text[start:end])]
            after = end
        return "".join((*parts, text[after:]))


def _is_apart(text: str, start: int, end: int) -> bool:
    return not any(_RUN.fullmatch(beside) for beside in (text[max(0, start - 1) : start], text[end : end + 1]))
