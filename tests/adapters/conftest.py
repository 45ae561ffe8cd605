"""One real Slurm for all tests that use it: starting it takes longer than most of them. Each has nodes of its own."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.adapters.slurm_site import SlurmSite, programs_elsewhere, serving_slurm

NODES = 48
if (folder_of_programs := programs_elsewhere()) is not None:  # tests, adapters and Slurm itself find them by name
    os.environ["PATH"] = f"{folder_of_programs}:{os.environ['PATH']}"


@pytest.fixture(scope="session")
def slurm() -> Iterator[SlurmSite]:
    folder = Path(tempfile.mkdtemp(prefix="fermata-slurm-"))
    try:
        with serving_slurm(folder, NODES) as site:
            yield site
    finally:
        shutil.rmtree(folder)
