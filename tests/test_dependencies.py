"""What we are made of: an SBOM that others can read and that leaves nothing out, and licences that we may ship."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[1]
SBOMS = {"requirements.lock": "product.cdx.json", "requirements-dev.lock": "development.cdx.json"}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make sbom` writes."""
    folder = tmp_path_factory.mktemp("sbom")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/write_sbom.py"), str(folder)],
        capture_output=True, text=True, check=False, timeout=170,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def locked(name: str) -> dict[str, tuple[str, set[str]]]:
    """By package, its version and the SHA-256 of its files, as pip reads a lock."""
    found: dict[str, tuple[str, set[str]]] = {}
    for entry in (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        match = re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", entry)
        if match:
            found[plain(match[1])] = (match[2], set(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)))
    return found


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def hashes_of(component: dict[str, Any]) -> set[str]:
    references = component.get("externalReferences", [])
    return {each["content"] for reference in references for each in reference.get("hashes", [])}


@pytest.mark.parametrize("lock", SBOMS)
def test_an_sbom_is_valid_cyclonedx(written: Path, lock: str) -> None:
    text = (written / SBOMS[lock]).read_text(encoding="utf-8")
    version = SchemaVersion.from_version(json.loads(text)["specVersion"])
    assert JsonStrictValidator(version).validate_str(text) is None
    assert JsonStrictValidator(version).validate_str(text.replace('"library"', '"librarian"')) is not None


@pytest.mark.parametrize("lock", SBOMS)
def test_an_sbom_names_every_locked_package_with_its_hashes(written: Path, lock: str) -> None:
    listed = json.loads((written / SBOMS[lock]).read_text(encoding="utf-8"))["components"]
    found = {plain(part["name"]): (part["version"], hashes_of(part)) for part in listed}
    assert len(found) > 50
    assert found == locked(lock)


def test_no_dependency_has_a_licence_that_is_not_allowed(written: Path) -> None:
    report = json.loads((written / "licences.json").read_text(encoding="utf-8"))
    assert report["wrong"] == []
    assert set(report["licences"]) | set(report["not_installed"]) == set(locked("requirements-dev.lock"))
    assert len(report["not_installed"]) < 10, "what is not of this platform or of this Python"


@pytest.mark.parametrize(
    ("told", "is_allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 AND MIT", True),
        ("MIT License\nCopyright (c) 2016", True),
        ("GPL-3.0-only OR MIT", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("Apache Software License; GNU General Public License v3 (GPLv3)", False),
        ("", False),
        ("UNKNOWN", False),
    ],
)
def test_a_licence_is_allowed_when_all_that_holds_is(told: str, is_allowed: bool) -> None:
    code = "import sys; from licences import judge; print(judge('package', sys.argv[1]) is None)"
    command = [sys.executable, "-c", code, told]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT / "tools", timeout=60)
    assert done.stdout.strip() == str(is_allowed)
