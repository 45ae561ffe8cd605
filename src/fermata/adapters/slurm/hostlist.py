"""Lists of nodes as Slurm writes them: `gpu[001-064,070],login1` and back. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

NAMES_MAX = 1_000_000  # more is a slip of the pen, and would take all memory
DIGITS_MAX = 64  # of one number: whole names are no longer
_NUMBERED = re.compile(r"^(.*?)(\d+)$")
_SAFE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


def is_name(name: str) -> bool:
    """True of what may be the name of one node: a list, an option or a blank would be taken for something else."""
    return _SAFE.match(name) is not None


def expand(text: str) -> list[str]:
    """The names of a list, in its order. Raises ValueError for one that is not closed or far too long."""
    names: list[str] = []
    for item in _split(text):
        names.extend(_expand_item(item, NAMES_MAX - len(names)))
    return names


def compress(names: Iterable[str]) -> str:
    """One list of all names, each once: numbers of one width behind one prefix are folded, everything else is told."""
    numbered: dict[tuple[str, int], set[int]] = defaultdict(set)
    plain: list[str] = []
    for name in dict.fromkeys(names):
        match = _NUMBERED.match(name)
        if match is None:
            plain.append(name)
        else:
            numbered[match[1], len(match[2])].add(int(match[2]))
    folded = [_fold(prefix, width, sorted(numbers)) for (prefix, width), numbers in sorted(numbered.items())]
    return ",".join([*folded, *sorted(plain)])


def chunks(names: Sequence[str], characters_max: int) -> Iterator[Sequence[str]]:
    """`names` in parts whose lists have at most `characters_max` characters, or one name."""
    if not names:
        return
    if len(names) == 1 or len(compress(names)) <= characters_max:
        yield names
        return
    half = len(names) // 2
    yield from chunks(names[:half], characters_max)
    yield from chunks(names[half:], characters_max)


def _fold(prefix: str, width: int, numbers: Sequence[int]) -> str:
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    if len(numbers) == 1:
        return f"{prefix}{numbers[0]:0{width}d}"
    told = (f"{low:0{width}d}" if low == high else f"{low:0{width}d}-{high:0{width}d}" for low, high in runs)
    return f"{prefix}[{','.join(told)}]"


def _split(text: str) -> Iterator[str]:
    """The items between the commas that stand outside brackets."""
    depth, start = 0, 0
    for place, letter in enumerate(text):
        depth += (letter == "[") - (letter == "]")
        if depth not in (0, 1):
            raise ValueError(f"brackets of {text[:80]!r} do not match")
        if letter == "," and depth == 0:
            yield from (item for item in (text[start:place],) if item)
            start = place + 1
    if depth != 0:
        raise ValueError(f"brackets of {text[:80]!r} do not match")
    yield from (item for item in (text[start:],) if item)


def _expand_item(item: str, most: int) -> list[str]:
    """One item; of several brackets the last runs fastest, as in Slurm. How many names there would be is known before
    any is made: of two brackets with a million numbers each no memory holds what they say.
    """
    folded: list[tuple[str, list[tuple[range, int]]]] = []
    count, rest = 1, item
    while "[" in rest:
        head, _, rest = rest.partition("[")
        inside, _, rest = rest.partition("]")
        parts = [_range(part) for part in inside.split(",")]
        count *= sum(max(0, numbers.stop - numbers.start) for numbers, _ in parts)
        folded.append((head, parts))
        if count > most:
            raise ValueError(f"more than {NAMES_MAX:,} names in {item[:80]!r}")
    if count > most:
        raise ValueError(f"more than {NAMES_MAX:,} names in a list of nodes")
    found = [""]
    for head, parts in folded:
        told = [f"{head}{number:0{width}d}" for numbers, width in parts for number in numbers]
        found = [f"{begun}{name}" for begun in found for name in told]
    return [f"{name}{rest}" for name in found]


def _range(part: str) -> tuple[range, int]:
    """The numbers of `001-064` or `7`, and how many digits each has at least."""
    low, dash, high = part.partition("-")
    is_number = low.isdigit() and (high.isdigit() if dash else True)
    if not is_number or len(part) > 2 * DIGITS_MAX:
        raise ValueError(f"{part[:80]!r} is no number and no range of numbers")
    return range(int(low), int(high if dash else low) + 1), len(low)
