"""The emulator through clients that others wrote: DMTF's redfish and redfish_utilities, and OpenStack's sushy."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redfish
import redfish_utilities
import sushy
from sushy import auth
from tests.bmc.running import Running, running

from fermata.bmc.fleet import Bmcs, Fleet

pytestmark = pytest.mark.xdist_group("bmc")


@pytest.fixture
def found() -> Iterator[Running]:
    with running(Fleet(bmcs=(Bmcs(names=("gpu1",)),))) as one:
        yield one


@pytest.fixture
def dmtf(found: Running) -> Iterator[redfish.rest.v1.HttpClient]:
    client = redfish.redfish_client(base_url=found.url, username="admin", password="password", max_retry=1)
    client.login(auth="session")
    try:
        yield client
    finally:
        client.logout()


@pytest.fixture
def openstack(found: Running) -> Iterator[sushy.Sushy]:
    session = auth.SessionAuth("admin", "password")
    yield sushy.Sushy(f"{found.url}/redfish/v1", auth=session)
    session.close()  # else it does so when it is collected, and tries for a minute


def test_sushy_writes_an_update_that_runs_after_the_reset(found: Running, openstack: sushy.Sushy) -> None:
    service = openstack.get_update_service()
    target = "/redfish/v1/UpdateService/FirmwareInventory/BIOS"
    begun = service.simple_update("http://images/BIOS-2.0.0.bin", targets=[target], transfer_protocol="HTTP")
    assert begun.is_processing
    task = begun.get_task()  # sushy takes the task's own address for its monitor
    assert task.task_state == sushy.TASK_STATE_RUNNING
    monitor = openstack.get_task_monitor(f"/redfish/v1/TaskService/TaskMonitors/{task.identity}")
    assert monitor.check_is_processing
    assert monitor.sleep_for == "30"
    found.later(600)
    assert not monitor.check_is_processing
    system = openstack.get_system("/redfish/v1/Systems/gpu1")
    system.reset_system(sushy.RESET_FORCE_RESTART)
    found.later(1200)
    system.refresh(force=True)
    assert system.power_state == sushy.POWER_STATE_ON
    versions = {one.identity: one.version for one in service.firmware_inventory.get_members()}
    assert (versions["BIOS"], versions["NIC_0"]) == ("2.0.0", "28.39.1002")


def test_sushy_switches_the_machine_off_and_on(found: Running, openstack: sushy.Sushy) -> None:
    system = openstack.get_system("/redfish/v1/Systems/gpu1")
    system.reset_system(sushy.RESET_GRACEFUL_SHUTDOWN)
    system.refresh(force=True)
    assert system.power_state == sushy.POWER_STATE_ON
    found.later(60)
    system.refresh(force=True)
    assert system.power_state == sushy.POWER_STATE_OFF
    system.reset_system(sushy.RESET_ON)
    found.later(1)
    system.refresh(force=True)
    assert system.power_state == sushy.POWER_STATE_ON


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # redfish_utilities leaves the image open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_dmtf_client_pushes_an_image_that_runs_after_the_controller_restarted(
    found: Running, dmtf: redfish.rest.v1.HttpClient, tmp_path: Path
) -> None:
    image = tmp_path / "BMC-25.0.0.bin"
    image.write_bytes(b"\x7fimage" * 1000)
    answer = redfish_utilities.multipart_push_update(dmtf, str(image))
    assert answer.status == 202
    assert dmtf.get(answer.task_location).status == 202
    found.later(300)
    with pytest.raises(redfish.rest.v1.RetriesExhaustedError):
        dmtf.get("/redfish/v1/Systems")
    found.later(300)
    dmtf.login(auth="session")
    assert dmtf.get(answer.task_location).status == 404
    told = dmtf.get("/redfish/v1/UpdateService/FirmwareInventory/BMC").dict
    assert told["Version"] == "25.0.0"


def test_dmtf_client_sees_what_a_failed_update_says(found: Running, dmtf: redfish.rest.v1.HttpClient) -> None:
    body = {"ImageURI": "http://images/GPU-97.bin", "Targets": ["/redfish/v1/UpdateService/FirmwareInventory/BIOS"]}
    answer = dmtf.post("/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate", body=body)
    found.later(60)
    task = dmtf.get(answer.dict["@odata.id"]).dict
    assert (task["TaskState"], task["TaskStatus"]) == ("Exception", "Critical")
    assert task["Messages"][-1]["MessageId"].endswith(".VerificationFailed")
    assert dmtf.get(answer.task_location).status == 500
