"""One real Slurm for all tests that use it: starting it takes longer than most of them. Each has nodes of its own."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.adapters.slurm_site import SlurmSite, serving_slurm

NODES = 48


@pytest.fixture(scope="session")
def slurm() -> Iterator[SlurmSite]:
    folder = Path(tempfile.mkdtemp(prefix="fermata-slurm-"))
    try:
        with serving_slurm(folder, NODES) as site:
            yield site
    finally:
        shutil.rmtree(folder)
