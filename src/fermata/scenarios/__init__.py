"""Whole scenarios that come with the package: folders of the files in docs/formats.md, used by demo and tests."""

from pathlib import Path

_HOME = Path(__file__).parent
NAMES = ("january",)


def path(name: str) -> Path:
    """The folder of the scenario `name`, one of NAMES. Raises KeyError for any other name."""
    if name not in NAMES:
        raise KeyError(name)
    return _HOME / name
