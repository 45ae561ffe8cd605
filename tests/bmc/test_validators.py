"""The emulator before DMTF's own judges: does it speak the protocol, and do its resources follow the schemas?

The service validator needs the schemas of DSP8010, which no package ships: FERMATA_TEST_REDFISH_SCHEMAS names a folder
with them (OpenBMC's web server, bmcweb, carries them as redfish-core/schema/dmtf/csdl).
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.bmc.running import Running, make_certificate, running, trusting

from fermata.bmc.fleet import Bmcs, Fleet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("bmc")]
SCHEMAS = os.environ.get("FERMATA_TEST_REDFISH_SCHEMAS", "")
# a fresh service has no update under way: what is judged here includes tasks that run, wait and failed
UPDATES = (("BIOS", "http://images/BIOS-2.0.bin", "OnReset"), ("NIC_0", "http://images/GPU-2.0.bin", "Immediate"))


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path)


@pytest.fixture
def found(certificate: Path) -> Iterator[Running]:
    with running(Fleet(bmcs=(Bmcs(names=("gpu1",)),)), certificate) as one:
        start = f"{one.url}/redfish/v1/UpdateService"
        for component, image, when in UPDATES:
            body = {
                "ImageURI": image,
                "Targets": [f"/redfish/v1/UpdateService/FirmwareInventory/{component}"],
                "@Redfish.OperationApplyTime": when,
            }
            action = f"{start}/Actions/UpdateService.SimpleUpdate"
            httpx.post(
                action, json=body, auth=("admin", "password"), verify=trusting(certificate), trust_env=False
            ).raise_for_status()
        one.later(30)
        yield one


def judge(module: str, found: Running, certificate: Path, *options: str) -> str:
    """What a validator prints; it ends with 0 if nothing failed."""
    program = f"from {module}.console_scripts import main; main()"
    command = [sys.executable, "-c", program, "-r", found.url, "-u", "admin", "-p", "password"]
    environment = {**os.environ, "REQUESTS_CA_BUNDLE": str(certificate), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, env=environment, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_protocol_validator_finds_nothing_to_fail(found: Running, certificate: Path, tmp_path: Path) -> None:
    options = ("--avoid-http-redirect", "--report-dir", str(tmp_path / "reports"), "--report-type", "tsv")
    said = judge("redfish_protocol_validator", found, certificate, *options)
    summary = re.search(r"PASS: (\d+), WARN: (\d+), FAIL: 0", said)
    assert summary, said
    assert int(summary[1]) > 300


@pytest.mark.skipif(not SCHEMAS, reason="FERMATA_TEST_REDFISH_SCHEMAS names no folder with the schemas of DSP8010")
def test_service_validator_finds_nothing_to_fail(found: Running, certificate: Path, tmp_path: Path) -> None:
    options = ("--skipschema", "--schema_directory", SCHEMAS, "--logdir", str(tmp_path / "logs"))
    said = judge("redfish_service_validator", found, certificate, *options)
    assert "Validating /redfish/v1/TaskService/Tasks/2" in said
    assert re.search(r"\|\s+\d{3,}\s+\|\s+0\s+\|\s+0\s+\|", said), said[-2000:]
