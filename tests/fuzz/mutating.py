"""Inputs near what a parser reads: pieces cut, doubled, swapped between seeds, and words of its grammar put in. Of JSON
also what still is JSON: values of another type, out of any range, gone, or in another's place.
"""

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from random import Random
from typing import Any

from tests.fuzz.target import INPUT_BYTES_MAX, Target

EDITS_MAX = 8
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 10**400, 1e308, float("inf"), float("nan"), 2**63, "", "x", "\0", "\u202e",
    "9" * 30, "//[", "[",
    "0001-01-01T00:00:00+23:59", "2026-01-01T00:00:00", [], {}, [None], {"": None}, [[[[[]]]]], "%", "²", "a" * 5000,
)  # fmt: skip
REPEATS = (2, 17, 300, 5000)  # the last ones find what grows faster than its input


def inputs_of(target: Target, random: Random) -> Iterator[bytes]:
    """The seeds, then without end what becomes of them; the same for the same state of `random`."""
    yield from target.seeds
    yield b""
    trees = [tree for seed in target.seeds if (tree := _as_json(seed)) is not None]
    while True:
        if trees and random.random() < 0.6:
            tree = json.loads(json.dumps(random.choice(trees)))
            for _ in range(random.randint(1, EDITS_MAX // 2)):
                tree = _edit_tree(tree, random)
            yield json.dumps(tree, ensure_ascii=random.random() < 0.5).encode("utf-8", "replace")[:INPUT_BYTES_MAX]
            continue
        data = random.choice(target.seeds)
        for _ in range(random.randint(1, EDITS_MAX)):
            data = _edit(data, target.seeds, target.words, random)
        yield data[:INPUT_BYTES_MAX]


def _edit(data: bytes, seeds: Sequence[bytes], words: Sequence[bytes], random: Random) -> bytes:
    at = random.randint(0, len(data))
    end = min(len(data), at + random.randint(0, 24))
    match random.randrange(7):
        case 0 if words:
            return data[:at] + random.choice(words) + data[at:]
        case 1 if words:
            return data[:at] + random.choice(words) + data[end:]
        case 2:
            return data[:at] + data[end:]
        case 3:
            return data[:at] + random.randbytes(random.randint(1, 4)) + data[end:]
        case 4:
            other = random.choice(seeds)
            begin = random.randint(0, len(other))
            return data[:at] + other[begin : begin + random.randint(0, 200)] + data[end:]
        case 5:
            piece = random.choice(words) if words and random.random() < 0.5 else data[at:end]
            return data[:at] + piece * random.choice(REPEATS) + data[end:]
        case _:
            return data[:at] + bytes(byte ^ (1 << random.randrange(8)) for byte in data[at : at + 1]) + data[at + 1 :]


def _as_json(seed: bytes) -> Any:
    """None of what is no JSON, or no tree."""
    try:
        found = json.loads(seed)
    except ValueError:
        return None
    return found if isinstance(found, dict | list) else None


def _edit_tree(tree: Any, random: Random) -> Any:
    """The tree with one value changed: most often a leaf, so that what is around it is still read."""
    if not isinstance(tree, dict | list) or not tree or random.random() < 0.1:
        return _odd(random)
    key = random.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
    match random.randrange(8):
        case 0 if isinstance(tree, dict):
            tree[random.choice(("x", "", "\0", *tree))] = tree.pop(key)
        case 0:
            tree.insert(key, tree[key])
        case 1:
            del tree[key]
        case 2:
            tree[key] = _odd(random)
        case 3 if isinstance(tree[key], str):
            tree[key] = tree[key][: random.randint(0, len(tree[key]))] + str(random.choice(ODD))
        case _:
            tree[key] = _edit_tree(tree[key], random)
    return tree


def _odd(random: Random) -> Any:
    """A value of its own, or what is done to one would be done to all, and one could come to hold itself."""
    return deepcopy(random.choice(ODD))
