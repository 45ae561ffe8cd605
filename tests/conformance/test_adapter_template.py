"""The template for adapters of others: installed as a package it is found by its entry point and passes the suite, and
over a real connection the suite finds the bugs that are planted in it.
"""

import contextlib
import importlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from tests.wiring.registered import register

from fermata.cli import main
from fermata.conformance import Broken, Trial, list_trials
from fermata.domain.observations import Accepted, Later, Unsure
from fermata.domain.routing import PortName
from fermata.ports import OutcomeUnknown, TryLater
from fermata.wiring.kinds import list_kinds

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "examples" / "adapter-template"

pytestmark = pytest.mark.xdist_group("adapter-template")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip put the package. Nothing is fetched: what it needs is here."""
    target = tmp_path_factory.mktemp("site")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(TEMPLATE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package on the path, as if it had been installed into this environment."""
    register(tmp_path / "registered", {"burn_in": "fermata_burn_in"}, name="fermata-burn-in", version="0.1.0")
    monkeypatch.syspath_prepend(str(tmp_path / "registered"))
    monkeypatch.syspath_prepend(str(TEMPLATE / "src"))
    yield
    sys.modules.pop("fermata_burn_in", None)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    with pytest.raises(SystemExit) as ended:
        main.main([*words, "--json"])
    said = capsys.readouterr().out
    return int(ended.value.code or 0), json.loads(said)


@pytest.mark.slow
def test_installed_it_passes_the_suite(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT / "src")])}
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={tmp_path / 'theirs'}"]
    command = [sys.executable, "-m", "pytest", *options, "-c", str(TEMPLATE / "pyproject.toml")]
    command += ["-o", "pythonpath=tests", "--rootdir", str(TEMPLATE), str(TEMPLATE / "tests")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
    (brought,) = metadata.distributions(path=[str(installed)])
    assert [(entry.group, entry.name) for entry in brought.entry_points] == [("fermata.adapters", "burn_in")]


@pytest.mark.usefixtures("found")
def test_it_is_found_by_its_entry_point(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, "adapters", "list")
    assert code == 0
    (line,) = [one for one in said["adapters"] if one["kind"] == "burn_in"]
    assert line == {
        "kind": "burn_in",
        "ports": ["verifier"],
        "origin": "fermata-burn-in 0.1.0",
        "summary": "Health checks of nodes by a burn-in service that is asked over HTTP.",
        "why_unusable": None,
    }


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The template's own bench, and the template beside it as it stands in the tree."""
    monkeypatch.setenv("BURN_IN_TOKEN", "canary-3f9d")
    for folder in ("src", "tests"):
        monkeypatch.syspath_prepend(str(TEMPLATE / folder))
    yield importlib.import_module("test_conforms")
    for name in ("test_conforms", "burn_in_server", "fermata_burn_in"):
        sys.modules.pop(name, None)


@pytest.mark.slow
@pytest.mark.usefixtures("found")
def test_a_trial_of_ones_own_system_changes_nothing_unless_asked_to(
    bench: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = tmp_path / "settings.yaml"
    with bench.burn_in_server.running("canary-3f9d", {"node-1"}) as service:
        settings.write_text(f"url: http://127.0.0.1:{service.port}\ntoken_env: BURN_IN_TOKEN\n", encoding="utf-8")
        code, said = run(capsys, "adapters", "try", "burn_in", "--settings", str(settings))
        assert (code, said["broken"]) == (0, 0)
        verdicts = {one["sentence"]: one["verdict"] for one in said["trials"]}
        assert verdicts["nothing secret is told"] == "kept"
        assert verdicts["check: asked twice, done once"] == "not tried"
        assert not service.started
        code, said = run(
            capsys, "adapters", "try", "burn_in", "--settings", str(settings), "--write", "--node", "node-1"
        )
        assert (code, said["broken"]) == (0, 0)
        assert service.started["node-1"] > 0
        settings.write_text(f"url: http://127.0.0.1:{service.port}\n", encoding="utf-8")
        code, said = run(capsys, "adapters", "try", "burn_in", "--settings", str(settings))
        assert (code, said["broken"] > 0) == (1, True)


@pytest.mark.usefixtures("found")
def test_doctor_says_who_a_target_is_or_what_is_wrong_and_what_to_do(
    bench: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with bench.burn_in_server.running("canary-3f9d", set()) as service:
        address = f"http://127.0.0.1:{service.port}"
        site = tmp_path / "site.yaml"
        good = f"{{url: '{address}', token_env: BURN_IN_TOKEN}}"
        site.write_text(
            f"""
adapters:
  - {{id: good, kind: burn_in, settings: {good}}}
  - {{id: nameless, kind: burn_in, settings: {{url: '{address}'}}}}
  - {{id: away, kind: burn_in, settings: {{url: 'http://127.0.0.1:1'}}}}
  - {{id: tokenless, kind: burn_in, settings: {{url: '{address}', token_env: NOT_THERE}}}}
""",
            encoding="utf-8",
        )
        place = ["--site", str(site), "--store", str(tmp_path / "none.db")]
        code, said = run(capsys, "adapters", "doctor", *place)
        assert code == 1
        wrong = {one["adapter"]: one["wrong"] for one in said["adapters"]}
        assert wrong["good"] == ""
        assert "does not want us" in wrong["nameless"]
        assert "does not answer" in wrong["away"]
        assert "NOT_THERE holds no token" in wrong["tokenless"]
        site.write_text(f"adapters: [{{id: good, kind: burn_in, settings: {good}}}]\n", encoding="utf-8")
        code, said = run(capsys, "adapters", "doctor", *place)
        assert (code, said["well"]) == (0, True)
        assert said["adapters"][0]["target"]["product"] == "burn-in"


def test_what_is_no_adapter_is_told_and_does_not_keep_others_from_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packages of others that fail to load, lack something, or take a name that is taken."""
    modules = {
        "odd_fails": "raise RuntimeError('boom')",
        "odd_needs": "import not_installed_at_all",
        "odd_lacks": '"""Nothing."""\nKIND = "lacks"',
        "odd_named": '"""Odd."""\nKIND = "x"\nPORTS = frozenset({"power"})\nSettings = dict\nbuild = print',
    }
    for name, text in modules.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    register(tmp_path, {name.removeprefix("odd_"): name for name in modules}, name="odd")
    monkeypatch.syspath_prepend(str(tmp_path))
    book = list_kinds()
    why = {name: kind.why for name, kind in book.unusable.items()}
    assert "RuntimeError: boom" in why["fails"]
    assert "not installed here" in why["needs"]
    assert "has no PORTS and no Settings and no build" in why["lacks"]
    assert "says KIND = 'x' and is registered as 'named'" in why["named"]


def silent(kind: type[Exception]) -> Callable[[ModuleType], None]:
    """Whatever goes wrong with a call is told as one error."""

    def plant(module: ModuleType) -> None:
        line = module._Line  # noqa: SLF001 - a bug is planted where the code is
        as_it_is = line.call

        def call(self: object, method: str, path: str, body: object = None) -> object:
            try:
                return as_it_is(self, method, path, body)
            except OutcomeUnknown as error:
                raise kind(timedelta(minutes=1)) from error

        line.call = call

    return plant


def answering(change: Callable[[Any], Any]) -> Callable[[ModuleType], None]:
    def plant(module: ModuleType) -> None:
        checks = module._Checks  # noqa: SLF001
        as_it_is = checks._start  # noqa: SLF001
        checks._start = lambda self, ask: change(lambda: as_it_is(self, ask))  # noqa: SLF001

    return plant


def twice(start: Callable[[], Any]) -> Any:
    found = start()
    return start() if isinstance(found, Later) else found


def telling(module: ModuleType) -> None:
    line = module._Line  # noqa: SLF001
    as_it_is = line.call

    def call(self: Any, method: str, path: str, body: object = None) -> object:
        logging.getLogger("burn_in").debug("headers: %s", self._client.headers.raw)
        return as_it_is(self, method, path, body)

    line.call = call


def made_up_ids(module: ModuleType) -> None:
    module._id_of = lambda _key: uuid4().hex  # type: ignore[attr-defined]  # noqa: SLF001


PLANTED: dict[str, tuple[Callable[[ModuleType], None], str]] = {
    "takes silence for success": (
        answering(lambda start: Accepted() if isinstance(found := start(), Unsure) else found),
        "check: whatever becomes of the answer, it is done once (lost before it arrives)",
    ),
    "takes silence for not done": (
        silent(TryLater),
        "check: whatever becomes of the answer, it is done once (answer lost after it was done)",
    ),
    "takes half an answer for not done": (
        silent(TryLater),
        "check: whatever becomes of the answer, it is done once (half an answer)",
    ),
    "asks a busy service at once again": (
        answering(twice),
        "check: a busy target is left alone until it says (busy, with a time to ask again)",
    ),
    "does not hear when to ask again": (
        answering(lambda start: replace_later(start())),
        "check: a busy target is left alone until it says (busy, with a time to ask again)",
    ),
    "makes up ids": (made_up_ids, "check: asked again after a restart, done once"),
    "tells its token": (telling, "nothing secret is told"),
}


def replace_later(found: Any) -> Any:
    return Later(after=timedelta(minutes=1)) if isinstance(found, Later) else found


@pytest.mark.parametrize("name", PLANTED)
def test_a_bug_that_shows_on_a_connection_is_found(name: str, bench: ModuleType) -> None:
    plant, sentence = PLANTED[name]
    plant(bench.fermata_burn_in)
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(bench.open_bench())
        with pytest.raises(Broken):
            trial_named(sentence).run(opened)


def trial_named(name: str) -> Trial:
    (found,) = [trial for trial in list_trials([PortName.VERIFIER]) if str(trial) == name]
    return found
