"""Packages of others, as they stand on the path once they are installed."""

from collections.abc import Mapping
from pathlib import Path


def register(folder: Path, kinds: Mapping[str, str], *, name: str, version: str = "1.0") -> None:
    """What pip leaves of a package whose entry points are these modules."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    lines = "\n".join(f"{kind} = {module}" for kind, module in kinds.items())
    (info / "entry_points.txt").write_text(f"[fermata.adapters]\n{lines}\n", encoding="utf-8")
