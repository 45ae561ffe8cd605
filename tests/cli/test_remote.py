"""`--server`: every verb says and does over HTTP what it says and does on a store."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.cli.demo_world import play, small_scenario
from tests.cli.line import Answer, Line
from tests.conftest import copy_sqlite
from tests.formats.conftest import Small
from tests.server import world

from fermata.cli.local import StoreVerbs
from fermata.client.link import ServerLink
from fermata.client.server import ServerVerbs
from fermata.domain.pending_lines import PendingFilter
from fermata.server.serving import BackgroundServer, bind_socket, url_of
from fermata.settings import Settings
from fermata.wiring.clocks import SystemClock
from fermata.wiring.serving import make_app
from fermata.wiring.stores import open_database

JSON = "--json"
GOLDEN = Path(__file__).parents[1] / "golden"
APPROVALS = """\
verdict,level,name,actor,reason,at
approve,supercomputer,sc-1,lumen-capacity,by mail,2025-12-20T00:00:00Z
approve,supercomputer,sc-2,meridian-infra,,
"""
MINTED = re.compile(r"\b(apr|freeze|hold|run|sig|wo|word)_[0-9A-HJKMNP-TV-Z]{26}\b")
SECONDS = re.compile(r'("seconds": |checked in )[0-9.]+')


@contextmanager
def served(store: Path) -> Iterator[str]:
    """The URL of a real server over that store, on real time."""
    database = open_database(f"sqlite:///{store}")
    app = make_app(database, SystemClock(), simulated_at=None, settings=Settings())
    server = BackgroundServer(app, listener := bind_socket("127.0.0.1", 0))
    server.start()
    yield url_of(listener)
    server.stop()
    database.close()


class Twins:
    """Two stores: one worked on as it is, one behind a server. Both start alike and get the same orders."""

    def __init__(self, line: Line, small: Small, url: str) -> None:
        self.line = line
        self.small = small
        self.url = url

    def here(self, *words: str) -> Answer:
        return self.line.run(*words)

    def there(self, *words: str) -> Answer:
        return self.line.run(*words, "--server", self.url, store=False)

    def agree(self, *words: str) -> Answer:
        """Gives the order to both; what they say may differ in what they mint and in the moment, in nothing else."""
        here, there = self.here(*words), self.there(*words)
        assert comparable(there) == comparable(here)
        return there

    def minted(self, *words: str) -> tuple[Answer, Answer]:
        """For orders about something whose name was minted: `{}` is replaced by each side's own."""
        here = self.here("freeze", "add", *words, JSON).json["id"]
        there = self.there("freeze", "add", *words, JSON).json["id"]
        return self.here("freeze", "end", here), self.there("freeze", "end", there)


def comparable(answer: Answer) -> tuple[int, str, str]:
    """JSON with its keys in their order; 0 and 0.0 are one number."""
    out = masked(answer.out)
    if out.startswith("{"):
        out = json.dumps(json.loads(out, parse_int=float), indent=1)
    return answer.code, out, masked(answer.err)


def masked(text: str) -> str:
    now = datetime.now(UTC)
    days = "|".join(f"{day:%Y-%m-%d}" for day in (now + timedelta(days=n) for n in range(-1, 3)))
    text = re.sub(rf"({days})[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?", "NOW", text)
    return SECONDS.sub(r"\g<1>0", MINTED.sub(r"\1_ID", text))


@pytest.fixture
def twins(line: Line, sqlite_template: Path, tmp_path: Path) -> Iterator[Twins]:
    for name in ("store.db", "served.db"):
        copy_sqlite(sqlite_template, tmp_path / name)
    with served(tmp_path / "served.db") as url:
        yield Twins(line, small_scenario(tmp_path / "files"), url)


@pytest.fixture
def imported(twins: Twins) -> Twins:
    twins.agree("import", "scenario", str(twins.small.folder))
    return twins


@pytest.fixture
def planned(imported: Twins) -> Twins:
    """With a plan file that consent covers."""
    said = str(imported.small.write("approvals.csv", APPROVALS))
    assert imported.agree("approve", "--from", said, JSON).code == 0
    plan = str(imported.small.path("plan.json"))
    assert imported.line.run("plan", str(imported.small.folder), "--out", plan, store=False).code == 0
    return imported


@pytest.mark.parametrize("kind", ["fleet", "updates", "policy", "campaign", "scenario"])
def test_import_takes_the_same_files_and_tells_the_same(twins: Twins, kind: str) -> None:
    files = {"fleet": "fleet", "scenario": "."}
    path = str(twins.small.path(files.get(kind, f"{kind}.yaml")))
    first = twins.agree("import", kind, path, "--why", "first")
    assert first.code == 0
    assert "Nothing changed" in twins.agree("import", kind, path).out
    assert twins.agree("import", kind, path, JSON).json["changed"] is False


def test_second_import_names_what_changed_and_what_went(imported: Twins) -> None:
    nodes = imported.small.text("fleet/nodes.csv").splitlines(keepends=True)
    imported.small.write("fleet/nodes.csv", "".join(nodes[:-1]).replace("28.39", "28.40"))
    told = imported.agree("import", "fleet", str(imported.small.path("fleet")))
    assert "changed: alpha-n0" in told.out
    assert "removed: beta-n1" in told.out


def test_the_catalogue_is_worked_on_alike(imported: Twins) -> None:
    signal = ("--ring", "lab", "--name", "boot", "--result", "passed", "--nodes", "8", "--at", "2026-01-11T08:00:00Z")
    for words, code in (
        (("rules", str(GOLDEN / "rings.yaml"), "--as", "owner"), 0),
        (("register", str(GOLDEN / "kernel.yaml"), "--as", "owner"), 0),
        (("signal", "nic-28.43", "host-os-2026.1", *signal, "--as", "lab"), 0),
        (("promote", "host-os-2026.1.7", "--as", "owner"), 1),
        (("show", "nic-28.43"), 0),
        (("list",), 0),
        (("combinations",), 0),
        (("combinations", "--supercomputer", "sc-1"), 0),
        (("piles", "--freeze", "f1"), 0),
        (("demote", "nic-28.43", "--as", "owner", "--why", "flaps"), 0),
        (("withdraw", "host-os-2026.2-rc", "--as", "owner", "--why", "old"), 0),
        (("withdraw", "host-os-2026.2-rc", "--as", "owner", "--why", "old"), 1),
        (("register", str(GOLDEN / "rings.yaml"), "--as", "owner"), 2),
    ):
        assert imported.agree("updates", *words, JSON).code == code, words


def test_file_that_cannot_be_read_is_faulted_under_its_own_path(twins: Twins) -> None:
    path = twins.small.replace("updates.yaml", "impact: rebootful", "impact: rebootfull")
    for words in ((), (JSON,)):
        refused = twins.agree("import", "updates", str(path), *words)
        assert (refused.code, str(path) in refused.out + refused.err) == (2, True)
    assert twins.agree("pending").code == 1


@pytest.mark.parametrize(
    "words",
    [
        ["pending"],
        ["pending", "--detail", "--superseded"],
        ["pending", "--cluster", "alpha", "--detail", "--limit", "2"],
        ["pending", "--detail", "--limit", "0"],
        ["pending", "--node", "alpha-n0"],
        ["pending", "--device", "beta-leaf"],
        ["pending", "--customer", "lumen", "--sku", "H100", "--update", "nic-28.43"],
        ["requests"],
        ["requests", "--supercomputer", "sc-2"],
        ["requests", "--request", "req_sc-1_deployment"],
    ],
)
def test_lists_are_the_same(imported: Twins, words: list[str]) -> None:
    assert imported.agree(*words).code == 0
    assert imported.agree(*words, JSON).json


def test_consent_is_given_and_taken_back(imported: Twins) -> None:
    assert "approved by lumen-capacity" in imported.agree("approve", "rack", "alpha-r0", "--why", "by mail").out
    assert "nothing recorded" in imported.agree("approve", "rack", "alpha-r0").out
    assert imported.agree("withdraw", "rack", "alpha-r0", "--as", "lumen-capacity", JSON).code == 0
    seen = imported.agree("approve", "cluster", "beta", "--incarnation", "1", JSON).json["orders"]
    assert [order["already"] for order in seen] == [False]
    assert imported.agree("requests", JSON).code == 0


def test_freeze_is_added_and_ended(imported: Twins) -> None:
    times = ("--from", "2026-01-09", "--to", "2099-01-10T00:00:00+01:00", "--reason", "launch")
    assert imported.agree("freeze", "add", "cluster", "alpha", *times).code == 0
    here, there = imported.minted("cluster", "alpha", *times)
    assert comparable(there) == comparable(here)
    assert "is open again" in there.out
    freeze = imported.there("freeze", "add", "rack", "beta-r0", *times, JSON).json["id"]
    assert imported.there("freeze", "end", freeze, "--as", "meridian-infra", JSON).json["ended_at"].endswith("Z")


def test_plan_is_published_checked_conducted_and_reported(planned: Twins) -> None:
    plan = str(planned.small.path("plan.json"))
    first = planned.agree("publish", plan, "--why", "agreed", JSON).json
    assert (first["already"], first["parent"]) == (False, None)
    assert "was in force already" in planned.agree("publish", first["id"]).out
    assert "was in force already" in planned.agree("publish", plan).out
    window = json.loads(planned.small.path("plan.json").read_text())["windows"][0]["id"]
    for words in ((), (JSON,)):
        assert planned.agree("check", first["id"], *words).code == 0
        for name in ("alpha", "alpha-n0", window):
            assert planned.agree("why", name, *words).code == 0
    assert planned.agree("start", "--as", "operator-1").code == 0
    assert "publishes what breaks no date" in planned.agree("replan", "mode", "auto", "--why", "asked").out
    for verb in ("pause", "resume", "stop"):
        assert planned.agree(verb, "small", "--why", "asked", JSON).json["run"]["id"]
    for words in (["status"], ["status", "--all"], ["status", "small", JSON], ["report"], ["report", "small", JSON]):
        assert planned.agree(*words).code == 0
    assert planned.agree("withdraw", "cluster", "alpha").code == 0
    broken = planned.agree("check", first["id"])
    assert (broken.code, "violation" in broken.out) == (1, True)


def test_run_and_report_of_a_conducted_campaign_are_the_same(line: Line, tmp_path: Path) -> None:
    play(tmp_path)
    line.store = tmp_path / "demo.db"
    with served(line.store) as url:
        twins = Twins(line, line.small, url)
        for words in (["status", "--all"], ["status", JSON], ["report"], ["report", JSON]):
            assert twins.agree(*words).code == 0
        pages = [tmp_path / "here.html", tmp_path / "there.html"]
        twins.here("report", "--html", str(pages[0]))
        twins.there("report", "--html", str(pages[1]))
        assert pages[0].read_text() == pages[1].read_text()


def test_status_of_a_run_with_late_windows_and_a_tail_is_the_same(line: Line, sqlite_template: Path) -> None:
    copy_sqlite(sqlite_template, line.store)
    database = open_database(f"sqlite:///{line.store}")
    world.save_campaign(database, world.Size())
    world.save_run(database, world.Size(), world.save_plan(database, world.Size()))
    database.close()
    with served(line.store) as url:
        twins = Twins(line, line.small, url)
        assert "min early" in twins.agree("status", "--all").out
        assert twins.agree("status", JSON).json["tail"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["pending", "--cluster", "alhpa"], "SCOPE_UNKNOWN"),
        (["requests", "--request", "req sc?1"], "REQUEST_UNKNOWN"),
        (["approve", "cluster", "alpah", "gamma", "delta"], "SCOPE_UNKNOWN"),
        (["approve", "cluster", "alpha", "gamma", "--atomic"], "SCOPE_UNKNOWN"),
        (["approve", "cluster", "alpha", "--only", "nope"], "ITEM_UNKNOWN"),
        (["approve", "cluster", "alpha", "--not-after", "2026-01-01"], "TIME_PAST"),
        (["decline", "cluster", "alpha", "--until", "2099-01-01", "--why", "launch"], "DECLINE_PAST_DUE"),
        (["offer", "accept", "apr_none", "--as", "operator"], "OFFER_UNKNOWN"),
        (["approve", "cluster", "alpha", "--incarnation", "7"], "REQUEST_CHANGED"),
        (["withdraw", "cluster", "alpha", "--as", "nobody"], "APPROVER_UNKNOWN"),
        (["freeze", "end", "freeze_none"], "FREEZE_UNKNOWN"),
        (
            ["freeze", "add", "cluster", "alpha", "--from", "2026-01-02", "--to", "2026-01-01", "--reason", "x"],
            "FREEZE_EMPTY",
        ),
        (["publish", "plan_none"], "PLAN_UNKNOWN"),
        (["check", "plan_none"], "PLAN_UNKNOWN"),
        (["start"], "NOT_PUBLISHED"),
        (["why", "alpha"], "NOT_PUBLISHED"),
        (["why", "alpha", "--plan", "plan_none"], "PLAN_UNKNOWN"),
        (["pause"], "RUN_NONE"),
        (["status", "small"], "RUN_NONE"),
        (["gates"], "RUN_NONE"),
        (["report"], "NOTHING_TO_REPORT"),
    ],
)
def test_refusals_have_the_same_code_sentence_and_exit_code(imported: Twins, words: list[str], code: str) -> None:
    told = imported.agree(*words)
    assert (told.code, code in told.err) == (1, True)
    assert imported.agree(*words, JSON).json["error"]["code"] == code


def test_empty_store_behind_a_server_says_what_to_import(twins: Twins) -> None:
    for words in (["pending"], ["requests"], ["approve", "cluster", "alpha"], ["start"], ["report"]):
        assert twins.agree(*words).code == 1


def test_of_many_refusals_the_first_are_told_and_the_rest_counted(imported: Twins) -> None:
    names = [f"c{n}" for n in range(70)]
    told = imported.agree("approve", "cluster", *names)
    assert "... and 20 more" in told.err
    error = imported.agree("approve", "cluster", *names, JSON).json["error"]
    assert (error["total"], len(error["reasons"])) == (70, 50)


def test_draft_is_refused_and_leaves_nothing_behind(imported: Twins) -> None:
    plan = str(imported.small.path("plan.json"))
    assert imported.line.run("plan", str(imported.small.folder), "--out", plan, store=False).code == 0
    refused = imported.agree("publish", plan, JSON).json["error"]
    assert refused["code"] == "PLAN_CONSENT_ASSUMED"
    draft = json.loads(Path(plan).read_text())["id"]
    assert imported.agree("check", draft, JSON).json["error"]["code"] == "PLAN_UNKNOWN"


def test_what_the_server_finds_wrong_with_a_request_is_bad_input(imported: Twins) -> None:
    refused = imported.there("approve", "cluster", "x" * 300, JSON)
    assert refused.code == 2
    (fault,) = refused.json["error"]["faults"]
    assert fault["field"] == "body.orders[0].scope.name"


def test_pages_of_a_long_list_are_put_together(imported: Twins) -> None:
    database = open_database(f"sqlite:///{imported.line.store}")
    here = StoreVerbs(database)
    with ServerLink(imported.url) as link:
        there = ServerVerbs(link, lines_per_page=3)
        for limit in (None, 0, 2, 5, 6):
            wanted = PendingFilter()
            page = here.page_pending(wanted, superseded=True, limit=limit)
            assert there.page_pending(wanted, superseded=True, limit=limit) == page
    database.close()


def test_dead_server_is_a_refusal_with_a_code(line: Line) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        told = line.run("pending", "--server", url, store=False)
        assert (told.code, told.out) == (1, "")
        assert "SERVER_UNREACHABLE" in told.err
        error = line.run("approve", "cluster", "alpha", "--server", url, JSON, store=False).json["error"]
        assert (error["code"], error["exit_code"]) == ("SERVER_UNREACHABLE", 1)
        assert "nothing was changed" in error["sentence"]


class _Strange(BaseHTTPRequestHandler):
    """Some other program's server: hangs up on changes, greets on reads."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def do_POST(self) -> None:
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name for it
        """Says nothing."""


@pytest.fixture
def strange() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Strange)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_server_that_is_not_ours_is_told_apart_from_a_dead_one(line: Line, strange: str) -> None:
    told = line.run("requests", "--server", strange, store=False)
    assert (told.code, "SERVER_NOT_UNDERSTOOD" in told.err) == (1, True)


def test_change_cut_off_half_way_is_not_called_undone(line: Line, strange: str) -> None:
    told = line.run("approve", "cluster", "alpha", "--server", strange, store=False)
    assert (told.code, "SERVER_UNREACHABLE" in told.err) == (1, True)
    assert "may have done what was asked" in told.err


@pytest.mark.parametrize(
    "words",
    [
        ["pending", "--server", "http://127.0.0.1:1", "--store", "x.db"],
        ["pending", "--server", "http://127.0.0.1:1", "--scenario", "."],
        ["check", "plan.json", "--scenario", ".", "--server", "http://127.0.0.1:1"],
        ["status", "--server", "127.0.0.1:8321"],
        ["status", "--server", "ftp://127.0.0.1"],
    ],
)
def test_two_places_or_no_url_is_a_usage_error(line: Line, words: list[str]) -> None:
    told = line.run(*words, store=False)
    assert (told.code, told.out) == (2, "")


def test_command_line_beats_the_environment(imported: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERMATA_SERVER", imported.url)
    assert imported.line.run("pending", JSON, store=False).json["total"] > 0
    monkeypatch.setenv("FERMATA_SERVER", "http://127.0.0.1:1")
    assert imported.here("pending", JSON).code == 0
    monkeypatch.setenv("FERMATA_STORE", str(imported.line.store))
    assert imported.line.run("pending", store=False).code == 2
    assert imported.there("pending", JSON).code == 0
    files = ("--scenario", str(imported.small.folder))
    assert imported.line.run("pending", *files, JSON, store=False).code == 0
