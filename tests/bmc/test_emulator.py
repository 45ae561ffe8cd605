"""What the emulator does by itself: its clock, its desk, its faults and its bounds, through real sockets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.bmc.running import Running, client, running
from typer.testing import CliRunner

from fermata.bmc.clock import VirtualTime
from fermata.bmc.faults import Faults
from fermata.bmc.fleet import BadFleet, Bmcs, Fault, FaultKind, Fleet, Profile, read_fleet
from fermata.bmc.main import run, serve

pytestmark = pytest.mark.xdist_group("bmc")
SLOW_DOWN = Profile(sessions_max=2, down_answers_503=True, tasks_survive_reboot=True, push=False, staged=False)
UPDATE = "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate"


@pytest.fixture(scope="module")
def found() -> Iterator[Running]:
    bmcs = (Bmcs(prefix="node", digits=2, count=12), Bmcs(names=("old",), profile="old"))
    with running(Fleet(bmcs=bmcs, profiles={"old": SLOW_DOWN})) as one:
        yield one


def control(found: Running, method: str, path: str, body: Any = None) -> httpx.Response:
    return httpx.request(method, f"{found.url}/control{path}", json=body, trust_env=False)


def state(found: Running, name: str) -> Any:
    return control(found, "GET", f"/bmcs/{name}").json()


def start(one: httpx.Client, name: str, image: str, component: str, **more: Any) -> httpx.Response:
    target = f"/bmcs/{name}/redfish/v1/UpdateService/FirmwareInventory/{component}"
    return one.post(UPDATE, json={"ImageURI": f"http://images/{image}", "Targets": [target], **more})


def test_every_controller_is_at_its_path_and_at_its_host(found: Running) -> None:
    for name in ("node03", "node07"):
        with client(found, name) as one:
            assert one.get("/redfish/v1/Systems").json()["Members"] == [
                {"@odata.id": f"/bmcs/{name}/redfish/v1/Systems/{name}"}
            ]
        told = httpx.get(f"{found.url}/redfish/v1/", headers={"Host": f"{name}.lab:80"}, trust_env=False).json()
        assert told["Systems"] == {"@odata.id": "/redfish/v1/Systems"}
    assert httpx.get(f"{found.url}/redfish/v1/", trust_env=False).status_code == 404


def test_time_stands_still_until_the_desk_advances_it(found: Running) -> None:
    with client(found, "node01") as one:
        task = start(one, "node01", "BIOS-2.0.bin", "BIOS").json()["@odata.id"].removeprefix("/bmcs/node01")
        assert one.get(task).json()["PercentComplete"] == 0
        assert control(found, "POST", "/clock", {"advance_seconds": 90}).status_code == 200
        assert 40 < one.get(task).json()["PercentComplete"] < 60
        control(found, "POST", "/clock", {"advance_seconds": 3600})
        assert one.get(task).json()["TaskState"] == "Completed"
    assert state(found, "node01")["firmware"]["BIOS"] == {"runs": "1.4.0", "waits": "2.0"}


def test_desk_says_what_is_wrong_with_what_it_is_told(found: Running) -> None:
    for path, body in (("/clock", {"advance_seconds": -1}), ("/clock", {}), ("/faults", {"kind": "gremlins"})):
        answer = control(found, "POST", path, body)
        assert (answer.status_code, bool(answer.json()["error"])) == (400, True)
    assert control(found, "POST", "/faults", {"kind": "dies", "bmc": "nobody"}).status_code == 400
    assert control(found, "GET", "/nothing").status_code == 404


def test_staged_updates_share_one_reset(found: Running) -> None:
    with client(found, "node02") as one:
        for image, component in (("BIOS-2.0.bin", "BIOS"), ("NIC-29.1.bin", "NIC_0")):
            start(one, "node02", image, component, **{"@Redfish.OperationApplyTime": "OnReset"})
        found.later(3600)
        assert state(found, "node02")["tasks"] == {"1": "Pending", "2": "Pending"}
        one.post("/redfish/v1/Systems/node02/Actions/ComputerSystem.Reset", json={"ResetType": "ForceRestart"})
        found.later(100)
        assert state(found, "node02")["boot_progress"] != "OSRunning"
        found.later(3600)
    told = state(found, "node02")
    assert told["tasks"] == {"1": "Completed", "2": "Completed"}
    assert (told["firmware"]["BIOS"]["runs"], told["firmware"]["NIC_0"]["runs"]) == ("2.0", "29.1")
    assert told["resets"] == ["ForceRestart"]


def test_dead_controller_hangs_up_and_the_others_go_on(found: Running) -> None:
    control(found, "POST", "/faults", {"kind": "dies", "bmc": "node04", "seconds": 600})
    with client(found, "node04") as one, pytest.raises(httpx.TransportError):
        one.get("/redfish/v1/")
    with client(found, "node05") as one:
        assert one.get("/redfish/v1/Systems").status_code == 200
    found.later(700)
    with client(found, "node04") as one:
        assert one.get("/redfish/v1/Systems").status_code == 200


def test_controller_that_dies_in_mid_update_never_ends_it(found: Running) -> None:
    control(found, "POST", "/faults", {"kind": "dies", "bmc": "node06", "percent": 40})
    with client(found, "node06") as one:
        assert start(one, "node06", "BIOS-2.0.bin", "BIOS").status_code == 202
        found.later(30)
        assert one.get("/redfish/v1/Systems").status_code == 200
        found.later(3600)
        with pytest.raises(httpx.TransportError):
            one.get("/redfish/v1/Systems")
    assert state(found, "node06")["firmware"]["BIOS"] == {"runs": "1.4.0", "waits": None}


def test_inventory_that_lies_says_what_the_script_says(found: Running) -> None:
    control(found, "POST", "/faults", {"kind": "reports", "bmc": "node08", "component": "BIOS", "version": "9.9"})
    with client(found, "node08") as one:
        assert one.get("/redfish/v1/UpdateService/FirmwareInventory/BIOS").json()["Version"] == "9.9"
    assert state(found, "node08")["firmware"]["BIOS"]["runs"] == "1.4.0"


def test_restarting_controller_answers_503_where_its_profile_says_so_and_keeps_its_task(found: Running) -> None:
    with client(found, "old") as one:
        task = start(one, "old", "BMC-25.0.bin", "BMC").json()["@odata.id"].removeprefix("/bmcs/old")
        found.later(270)
        answer = one.get(task)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
        found.later(600)
        assert one.get(task).json()["TaskState"] == "Completed"


def test_profile_without_push_and_staging_offers_neither(found: Running) -> None:
    with client(found, "old") as one:
        told = one.get("/redfish/v1/UpdateService").json()
        assert "MultipartHttpPushUri" not in told
        bad = start(one, "old", "BIOS-2.0.bin", "BIOS", **{"@Redfish.OperationApplyTime": "OnReset"})
        assert bad.status_code == 400
        assert one.post("/redfish/v1/UpdateService/update-multipart", files={"UpdateFile": b"x"}).status_code == 405


def test_sessions_are_capped_and_end_with_time(found: Running) -> None:
    body = {"UserName": "admin", "Password": "password"}
    with client(found, "old") as one:
        answers = [one.post("/redfish/v1/SessionService/Sessions", json=body).status_code for _ in range(3)]
        assert answers == [201, 201, 503]
        found.later(3600)
        assert one.post("/redfish/v1/SessionService/Sessions", json=body).status_code == 201


def test_operator_may_reset_and_reader_may_not(found: Running) -> None:
    reset = "/redfish/v1/Systems/node09/Actions/ComputerSystem.Reset"
    with client(found, "node09") as one:
        for user, role in (("olga", "Operator"), ("rita", "ReadOnly")):
            body = {"UserName": user, "Password": "12345678", "RoleId": role}
            assert one.post("/redfish/v1/AccountService/Accounts", json=body).status_code == 201
    with client(found, "node09", "rita", "12345678") as one:
        assert one.post(reset, json={"ResetType": "ForceRestart"}).status_code == 403
    with client(found, "node09", "olga", "12345678") as one:
        assert one.post(reset, json={"ResetType": "Explode"}).status_code == 400
        assert one.post(reset, json={"ResetType": "ForceRestart"}).status_code == 204
    assert state(found, "node09")["resets"] == ["ForceRestart"]


def test_the_seed_alone_says_whom_a_fault_strikes() -> None:
    fault = Fault(kind=FaultKind.BUSY, share=0.3)
    now = VirtualTime().now()

    def struck(seed: int) -> list[str]:
        names = [f"n{number}" for number in range(200)]
        return [name for name in names if Faults(name, seed, [fault], now).strike(FaultKind.BUSY, now)]

    assert struck(1) == struck(1) != struck(2)
    assert 30 < len(struck(1)) < 90


BAD: tuple[tuple[str, str], ...] = (
    ('{"bmcs": [{"count": 2}, {"names": ["node0001"]}]}', "twice"),
    ('{"bmcs": [{"count": 1, "profile": "acme"}]}', "acme"),
    ('{"bmcs": []}', "no controller"),
    ('{"colour": "red"}', "colour"),
    ("{", "JSON"),
)


@pytest.mark.parametrize(("text", "says"), BAD, ids=[says for _, says in BAD])
def test_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "fleet.json"
    file.write_text(text)
    with pytest.raises(BadFleet, match=says):
        read_fleet(file)


def test_command_explains_itself_and_refuses_a_missing_file(tmp_path: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(serve)
    runner = CliRunner()
    assert "docs/bmc.md" in runner.invoke(app, ["--help"]).output
    missing = runner.invoke(app, [str(tmp_path / "none.json")])
    assert (missing.exit_code, "cannot be read" in missing.output) == (2, True)
    assert callable(run)
