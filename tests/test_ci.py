"""What CI makes of Kubernetes, built beside the other tests, and of another Slurm; said aloud where not tested."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.adapters.slurm_site import wait_for

ROOT = Path(__file__).parents[1]


def run_ci(
    folder: Path, build: str, fails: str = "", slurm: str = "echo no root here; exit 1", **settings: str
) -> subprocess.CompletedProcess[str]:
    """`.ci/run` as it is, on a machine where nothing is installed, `make` says its words, and `build` is the recipe of
    Kubernetes, `slurm` that of Slurm. `fails`: the target of `make` that does.
    """
    (folder / ".ci").mkdir()
    (folder / "tools").mkdir()
    (folder / "bin").mkdir()
    shutil.copy(ROOT / ".ci/run", folder / ".ci/run")
    (folder / "tools/build_kubernetes.sh").write_text(build, encoding="utf-8")
    (folder / "tools/build_slurm.sh").write_text(slurm, encoding="utf-8")
    for name, text in {
        "apt-get": "exit 0",
        "sudo": "exit 0",
        "make": f'echo "made $*, $(cat {folder}/built 2>/dev/null)"; sleep 1; [ "$1" != "{fails}" ]',
    }.items():
        program = folder / "bin" / name
        program.write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
        program.chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    settings |= {"PATH": path, "FERMATA_CACHE": str(folder / "cache"), "HOME": str(folder)}
    words = ["bash", str(folder / ".ci/run")]
    return subprocess.run(words, env=settings, capture_output=True, text=True, timeout=120, check=False)


def test_ci_tests_against_kubernetes_after_all_else_once_it_is_built(tmp_path: Path) -> None:
    ended = run_ci(tmp_path, f'sleep 2; echo "with $1" >{tmp_path}/built')
    tested, against = [line for line in ended.stdout.splitlines() if line.startswith("made")]
    assert (ended.returncode, tested) == (0, "made test, ")
    folder = against.split("FOLDER=")[1].split(",")[0]
    assert against == f"made kubernetes FOLDER={folder}, with {folder}"
    assert Path(folder).parent == tmp_path / "cache"


def test_ci_that_could_not_build_kubernetes_says_so_and_goes_on(tmp_path: Path) -> None:
    ended = run_ci(tmp_path, "echo no such mirror; exit 3")
    assert ended.returncode == 0
    assert "made kubernetes" not in ended.stdout
    assert "== NOT TESTED against a real Kubernetes: building it ended with 3." in ended.stdout
    assert ended.stdout.endswith("no such mirror\n")


def test_ci_does_not_wait_for_kubernetes_beyond_its_time(tmp_path: Path) -> None:
    ended = run_ci(tmp_path, f"sleep 300; touch {tmp_path}/built", FERMATA_BUILD_SECONDS_MAX="2")
    assert ended.returncode == 0
    assert "ended with 124: not built after 2 seconds" in ended.stdout
    assert not (tmp_path / "built").exists()


@pytest.mark.parametrize("fails", ["test", "kubernetes"])
def test_ci_fails_with_the_tests_and_leaves_no_build_behind(fails: str, tmp_path: Path) -> None:
    build = f"sleep 300 & echo $! >{tmp_path}/pid; wait" if fails == "test" else "true"
    ended = run_ci(tmp_path, build, fails)
    assert ended.returncode != 0
    assert "NOT TESTED against a real Kubernetes" not in ended.stdout
    assert ended.stdout.rstrip().splitlines()[-1].startswith(f"made {fails}")
    if fails == "test":
        wait_for(lambda: not Path("/proc", (tmp_path / "pid").read_text().strip()).exists())


def test_ci_tests_against_another_slurm_where_it_can_be_had(tmp_path: Path) -> None:
    ended = run_ci(tmp_path, "exit 3", slurm=f'echo "with $1" >{tmp_path}/built')
    (against,) = [line for line in ended.stdout.splitlines() if line.startswith("made slurm")]
    folder = against.split("FOLDER=")[1].split(" ")[0]
    assert against.endswith(f", with {folder}")
    assert Path(folder).parent == tmp_path / "cache"
    assert "NOT TESTED against Slurm" not in ended.stdout


def test_ci_without_another_slurm_says_so_and_goes_on(tmp_path: Path) -> None:
    ended = run_ci(tmp_path, "true")
    assert ended.returncode == 0
    assert "== NOT TESTED against Slurm 24.11: it cannot be unpacked or run here." in ended.stdout
    assert "no root here" in ended.stdout
    assert "made kubernetes" in ended.stdout


@pytest.mark.parametrize("name", ["TAMPER", "DRILL"])
def test_what_a_target_of_make_runs_is_there_and_runs_in_ci(name: str) -> None:
    line = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(f"{name} := "))
    files = line.split()[2:]
    assert len(files) > 2
    for file in files:
        text = (ROOT / file).read_text()
        assert "def test_" in text
        assert "pytest.mark.skip" not in text, f"make test runs {file}"
