"""What tools print, written by hand after their documentation: one healthy output each, and how to spoil it."""

import json
from typing import Any


def dcgmi_4(statuses: dict[int, str], *, warnings: dict[int, str] | None = None) -> str:
    """DCGM 4: a software test that passed, and a memory test with these statuses by GPU."""
    results: list[dict[str, Any]] = []
    for gpu, status in statuses.items():
        result: dict[str, Any] = {"entity_group": "GPU", "entity_group_id": 1, "entity_id": gpu, "status": status}
        if warnings and gpu in warnings:
            result["warnings"] = [{"warning": warnings[gpu], "error_id": 36, "error_category": 4, "error_severity": 2}]
        results.append(result)
    software = {"name": "software", "results": [], "test_summary": {"status": "Pass"}}
    memory = {"name": "memory", "results": results, "test_summary": {"status": "Pass"}}
    categories = [{"category": "Deployment", "tests": [software]}, {"category": "Hardware", "tests": [memory]}]
    tree = {"test_categories": categories, "metadata": {"version": "4.4.1", "Driver Version Detected": "580.82.07"}}
    return json.dumps({"DCGM Diagnostic": tree, "entity_groups": [{"entity_group": "GPU", "entities": []}]})


def dcgmi_3(status: str) -> str:
    """DCGM 3: one test of GPUs 0 and 1, with a line of text before the JSON and one behind."""
    tests = [{"name": "PCIe", "results": [{"gpu_id": "0", "status": "PASS"}, {"gpu_id": "1", "status": status}]}]
    tree = {"version": "3.3.9", "test_categories": [{"category": "Integration", "tests": tests}]}
    return f"Running:\n{json.dumps({'DCGM GPU Diagnostic': tree})}\nSuccessfully ran diagnostic for group.\n"


def nvidia_smi(*, attached: int = 2, inside: str = "", ecc: int = 0) -> str:
    """Two GPUs, the second with these elements and errors."""
    gpus = "".join(
        f'<gpu id="00000000:{bus}:00.0"><product_name>NVIDIA H100</product_name>'
        f"<ecc_errors><volatile><sram_correctable>3</sram_correctable>"
        f"<dram_uncorrectable>{errors}</dram_uncorrectable></volatile>"
        f"<aggregate><dram_uncorrectable>9</dram_uncorrectable></aggregate></ecc_errors>"
        f"<temperature><gpu_temp>{degrees} C</gpu_temp></temperature>{more}</gpu>"
        for bus, errors, degrees, more in (("0F", 0, 33, ""), ("2D", ecc, 41, inside))
    )
    return (
        '<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">\n<nvidia_smi_log>'
        f"<driver_version>580.82.07</driver_version><attached_gpus>{attached}</attached_gpus>{gpus}</nvidia_smi_log>\n"
    )


def nccl(*, wrong: int = 0, speed: float = 181.4, ended: bool = True) -> str:
    """Two sizes of all_reduce_perf."""
    names = "time   algbw   busbw #wrong"
    units = "(us)  (GB/s)  (GB/s)       "
    head = (
        "# nThread 1 nGpus 8 minBytes 1048576 maxBytes 8589934592 step: 2(factor) warmup iters: 5 iters: 20\n"
        f"#       size         count      type   redop    root     {names}     {names}\n"
        f"#        (B)    (elements)                               {units}     {units}\n"
    )
    rows = (
        "     1048576        262144     float     sum      -1    52.31   20.05   35.08      0    51.9  20.2  35.36  0\n"
        f"  8589934592    2147483648     float     sum      -1  82870.0  103.66  {speed}  {wrong}"
        f"  82801.1  103.7  {speed + 1}  0\n"
    )
    tail = f"# Out of bounds values : {wrong} {'FAILED' if wrong else 'OK'}\n# Avg bus bandwidth    : 108.3\n#\n"
    return head + rows + (tail if ended else "")


def superbench(**metrics: object) -> str:
    """One node's line; names are written with __ for / and ___ for a rank's colon."""
    named = {name.replace("___", ":").replace("__", "/"): value for name, value in metrics.items()}
    return json.dumps({"node": "gpu001", "kernel-launch/return_code": 0, **named}) + "\n"
