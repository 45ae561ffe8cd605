"""Writes what we are made of into a folder outside of git (`make sbom`): an SBOM (CycloneDX) of each lock file, with
version and hashes of every package, and the licences of those that are installed. Ends with 1 when one is not allowed.
"""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from licences import EXCEPTIONS, judge

ROOT = Path(__file__).parents[1]
LOCKS: Mapping[str, str] = {"requirements.lock": "product.cdx.json", "requirements-dev.lock": "development.cdx.json"}
LICENCES = "licences.json"


def main() -> None:
    """Into the folder named, which is made."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for lock, file in LOCKS.items():
        write_sbom(ROOT / lock, folder / file)
    found = read_licences()
    names = {name for lock in LOCKS for name in read_locked(ROOT / lock)}
    told = {name: licence.partition("\n")[0] for name, licence in sorted(found.items()) if name in names}
    wrong = [why for name in told if (why := judge(name, found[name])) is not None]
    report = {
        "licences": told,
        "exceptions": dict(EXCEPTIONS),
        "not_installed": sorted(names - set(told)),
        "wrong": wrong,
    }
    (folder / LICENCES).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for file in (*LOCKS.values(), LICENCES):
        print(folder / file)
    if wrong:
        sys.exit("Licences that are not allowed: " + "; ".join(wrong))


def write_sbom(lock: Path, file: Path) -> None:
    """In JSON, the same for the same lock."""
    command = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", str(lock)]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "--of", "JSON", "--output-reproducible", "-o", str(file)]
    subprocess.run(command, check=True, capture_output=True, text=True)


def read_licences() -> dict[str, str]:
    """By the name of each package that is installed here."""
    command = [sys.executable, "-m", "piplicenses", "--format=json", "--from=mixed", "--with-system"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {plain(package["Name"]): package["License"] for package in told}


def read_locked(lock: Path) -> dict[str, str]:
    """The version of each package of a lock file, by name."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    found = (re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", line) for line in lines)
    return {plain(match[1]): match[2] for match in found if match}


def plain(name: str) -> str:
    """As the index compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
