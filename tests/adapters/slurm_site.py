"""A real Slurm on loopback, from Debian's packages, in a folder of its own: munged, slurmctld, slurmrestd and a slurmd
for each node, which reboots for real. Everything it starts is ended with it, however the tests end. FERMATA_TEST_SLURM
names a folder with the programs of another release, as tools/build_slurm.sh makes it.
"""

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmrestd", "scontrol", "squeue", "sbatch", "scancel")
PACKAGES = "slurmctld slurmd slurmrestd slurm-client munge slurm-wlm-jwt-plugin"
WAIT_SECONDS_MAX = 60.0
_CONF = """\
ClusterName=sim
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={at}/munge/socket
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key={at}/state/jwt_hs256.key
{authority}
StateSaveLocation={at}/state
SlurmdSpoolDir={at}/spool/%n
SlurmctldPidFile={at}/log/slurmctld.pid
SlurmdPidFile={at}/log/%n.pid
SlurmctldLogFile={at}/log/slurmctld.log
SlurmdLogFile={at}/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
SlurmdTimeout=60
RebootProgram={at}/etc/reboot.sh
ResumeTimeout=60
SlurmdParameters=config_overrides
{nodes}
PartitionName=batch Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
_REBOOT = """\
#!/bin/sh
p=$PPID
while [ "$p" -gt 1 ] && [ "$(cat /proc/$p/comm)" != slurmd ]; do p=$(awk '{{print $4}}' /proc/$p/stat); done
[ "$p" -gt 1 ] || exit 1
n=$(tr '\\0' ' ' </proc/$p/cmdline | sed -n 's/.*-N *\\([^ ]*\\).*/\\1/p')
[ -n "$n" ] || exit 1
SLURM_CONF={at}/etc/slurm.conf setsid sh -c "sleep 0.2; kill $p; sleep 1; exec slurmd -D -b -N $n" \\
  </dev/null >/dev/null 2>&1 &
"""
_RESET = """\
#!/bin/sh
echo "$@" >>{at}/log/reset
for n in "$@"; do
  for p in $(pgrep -f "slurmd -D .*-N $n\\$|slurmd -D -N $n\\$"); do kill -9 "$p"; done
  SLURM_CONF={at}/etc/slurm.conf setsid slurmd -D -b -N "$n" </dev/null >/dev/null 2>&1 &
done
"""


def lacking() -> str | None:
    """Why no real Slurm can be started here, or None."""
    if os.geteuid() != 0:
        return "slurmctld and slurmds with one munge key are started as root, and this is not root"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"{', '.join(missing)} not found: apt-get install {PACKAGES}" if missing else None


def programs_elsewhere() -> str | None:
    """The folder with the programs of another release than this machine's, or None."""
    return os.environ.get("FERMATA_TEST_SLURM")


class SlurmFailed(subprocess.SubprocessError):
    """A program of Slurm ended with an error."""


@dataclass
class SlurmSite:
    """One running Slurm. Its nodes are gpu001 and so on."""

    at: Path
    nodes: tuple[str, ...]
    cloud: bool = False
    rest_url: str = ""
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _ports: list[int] = field(default_factory=list)

    @cached_property
    def release(self) -> tuple[int, int]:
        """Year and month of it."""
        told = subprocess.run(["slurmctld", "-V"], env=self._env(), capture_output=True, text=True, check=True).stdout
        year, month = told.split()[-1].split(".")[:2]
        return int(year), int(month)

    @property
    def config(self) -> str:
        """The file that SLURM_CONF names."""
        return str(self.at / "etc/slurm.conf")

    @property
    def reset_program(self) -> str:
        """Cuts the power of nodes; writes down whose."""
        return str(self.at / "etc/reset.sh")

    @property
    def token_file(self) -> str:
        """A token of root for slurmrestd."""
        return str(self.at / "etc/token")

    def run(self, *words: str) -> str:
        """What one of Slurm's programs prints. Raises `SlurmFailed` with its complaint."""
        done = subprocess.run(words, env=self._env(), cwd="/", capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise SlurmFailed(f"{' '.join(words)} ended with {done.returncode}: {done.stderr or done.stdout}")
        return done.stdout

    def sbatch(self, node: str, seconds: float, *words: str) -> str:
        """The number of a job that runs on one node."""
        told = self.run(
            "sbatch", "-N1", "-w", node, "-o", "/dev/null", *words, "--parsable", "--wrap", f"sleep {seconds}"
        )
        return told.strip()

    def states(self, node: str) -> set[str]:
        """The states of one node, as scontrol tells them."""
        told = self.run("scontrol", "show", "node", node, "-o")
        return set(told.split(" State=")[1].split(" ")[0].split("+"))

    def restart_slurmd(self, node: str) -> None:
        """Ends the slurmd of a node, and starts another: it registers anew."""
        self.stop_slurmd(node)
        self._start("slurmd", "-D", "-N", node)

    def stop_slurmd(self, node: str) -> None:
        """Ends the slurmd of a node: it does not respond any more."""
        pid = int((self.at / f"log/{node}.pid").read_text())
        os.kill(pid, signal.SIGTERM)
        for process in self._processes:
            if process.pid == pid:
                process.wait(timeout=WAIT_SECONDS_MAX)
        wait_for(lambda: not _is_alive(pid))

    def restart_controller(self) -> None:
        """Ends slurmctld, and starts another that reads the state of the first."""
        pid = int((self.at / "log/slurmctld.pid").read_text())
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: any(process.pid == pid and process.poll() is not None for process in self._processes))
        self._start("slurmctld", "-D")
        wait_for(lambda: _succeeds(lambda: "UP" in self.run("scontrol", "ping")))

    def start(self) -> None:
        """Starts everything, and returns when all nodes are idle."""
        self._lay_out()
        munge = self.at / "munge"
        files = {"key-file": self.at / "munge.key"} | {
            f"{name}": munge / name.removesuffix("-file") for name in ("socket", "pid-file", "log-file", "seed-file")
        }
        options = [f"--{name}={path}" for name, path in files.items()]
        self._start("munged", "--foreground", "--force", *options, user="munge")
        wait_for((munge / "socket").exists)
        self._start("slurmctld", "-D", "-c")
        wait_for(lambda: _succeeds(lambda: "UP" in self.run("scontrol", "ping")))
        for node in () if self.cloud else self.nodes:
            (self.at / "spool" / node).mkdir()
            self._start("slurmd", "-D", "-N", node)
        idle = "idle~" if self.cloud else "idle"
        expected = [f"{idle} {len(self.nodes)}"]
        wait_for(lambda: self.run("sinfo", "-h", "-o", "%t %D").split("\n")[:-1] == expected)
        self._start_rest()

    def stop(self) -> None:
        """Ends all that belongs to this folder: what was started here, and what that started."""
        for _ in range(50):
            pids = [pid for pid in _pids() if _belongs(pid, str(self.at))]
            if not pids:
                break
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        for process in self._processes:
            process.wait(timeout=10)

    def _lay_out(self) -> None:
        for name in ("munge", "state", "spool", "etc", "log"):
            (self.at / name).mkdir()
        for folder in (self.at, self.at / "etc"):
            folder.chmod(0o755)
        munge = pwd.getpwnam("munge")
        key = self.at / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        os.chown(key, munge.pw_uid, munge.pw_gid)
        os.chown(self.at / "munge", munge.pw_uid, munge.pw_gid)
        jwt = self.at / "state/jwt_hs256.key"
        jwt.write_bytes(os.urandom(32))
        jwt.chmod(0o600)
        self._ports = free_ports(2 if self.cloud else len(self.nodes) + 2)
        authority = "CryptoType=crypto/munge" if self.release < (24, 11) else "CredType=cred/munge"
        conf = _CONF.format(at=self.at, port=self._ports[0], nodes=self._node_lines(), authority=authority)
        (self.at / "etc/cgroup.conf").write_text("CgroupPlugin=disabled\n" if self.release >= (24, 11) else "")
        (self.at / "etc/slurm.conf").write_text(conf)
        for name, text in (("reboot.sh", _REBOOT), ("reset.sh", _RESET)):
            program = self.at / "etc" / name
            program.write_text(text.format(at=self.at))
            program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

    def _node_lines(self) -> str:
        size = "CPUs=16 Sockets=2 CoresPerSocket=8 RealMemory=1000"
        if self.cloud:
            last = self.nodes[-1].removeprefix("gpu")
            return (
                "PrivateData=cloud\nSuspendProgram=/bin/true\nResumeProgram=/bin/true\nSuspendTime=INFINITE\n"
                f"NodeName=gpu[{'1'.zfill(len(last))}-{last}] {size} State=CLOUD"
            )
        where = "NodeHostname=localhost NodeAddr=127.0.0.1"
        lines = zip(self.nodes, self._ports[2:], strict=True)
        return "\n".join(f"NodeName={node} {where} Port={port} {size} State=UNKNOWN" for node, port in lines)

    def _start_rest(self) -> None:
        token = self.at / "etc/token"
        token.write_text(self.run("scontrol", "token", "username=root", "lifespan=7200"))
        token.chmod(0o600)
        address = f"127.0.0.1:{self._ports[1]}"
        parts = ("openapi/v0.0.38",) if self.release < (24, 11) else ("slurmctld", "-d", "v0.0.42")
        self._start("slurmrestd", "-a", "rest_auth/jwt", "-s", *parts, address, user="nobody", SLURM_JWT="daemon")
        self.rest_url = f"http://{address}"
        wait_for(lambda: _succeeds(lambda: socket.create_connection(("127.0.0.1", self._ports[1]), 1).close()))

    def _start(self, *words: str, user: str = "root", **env: str) -> None:
        whose = pwd.getpwnam(user)
        elsewhere = programs_elsewhere() is not None  # there they become that user themselves, once they are there
        log = (self.at / "log/started").open("ab")
        with log:
            process = subprocess.Popen(
                words,
                env=self._env() | {"RUN_AS": f"{whose.pw_uid}:{whose.pw_gid}"} | env,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=0 if elsewhere else whose.pw_uid,
                group=0 if elsewhere else whose.pw_gid,
                extra_groups=[],
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - it takes no lock, and threads wait here
            )
        self._processes.append(process)

    def _env(self) -> dict[str, str]:
        return {"PATH": f"{os.environ['PATH']}:/usr/sbin", "SLURM_CONF": self.config, "TZ": "UTC"}


@contextlib.contextmanager
def serving_slurm(at: Path, count: int, *, cloud: bool = False) -> Iterator[SlurmSite]:
    """A Slurm with so many nodes. `at`: an empty folder that `nobody` may reach."""
    width = max(3, len(str(count)))
    site = SlurmSite(at=at, nodes=tuple(f"gpu{n:0{width}d}" for n in range(1, count + 1)), cloud=cloud)
    try:
        site.start()
        yield site
    finally:
        site.stop()


def wait_for(holds: Callable[[], bool], seconds: float = WAIT_SECONDS_MAX) -> None:
    """Returns once `holds` says so; fails after a minute, or as long as is said."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s")
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody has right now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _die_with_parent() -> None:
    """The kernel ends the daemon when the tests are killed: PR_SET_PDEATHSIG is 1."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _succeeds(call: Callable[[], object]) -> bool:
    try:
        return call() is not False
    except (OSError, subprocess.SubprocessError):
        return False


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _belongs(pid: int, folder: str) -> bool:
    """True of a process that names the folder on its command line or in its environment, other than ours."""
    if pid == os.getpid():
        return False
    with contextlib.suppress(OSError):
        told = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        return f"{folder}/".encode() in told
    return False


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
