"""A real API server of Kubernetes on loopback, with its etcd and the controller that counts disruption budgets, in a
folder of its own. There is no kubelet: tests end pods as one does. All of it ends with the tests, however they end.
"""

import ctypes
import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.adapters.kubernetes.kube import Kube
from tests.adapters.slurm_site import free_ports, wait_for

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager")
VARIABLE = "FERMATA_TEST_KUBERNETES"
PAGE = Path(__file__).parents[2] / "docs" / "kubernetes.md"


def lacking() -> str | None:
    """Why no real Kubernetes can be started here, or None."""
    folder = os.environ.get(VARIABLE)
    if folder is None:
        return f"{VARIABLE} names no folder with {', '.join(PROGRAMS)}: see tools/build_kubernetes.sh"
    missing = [program for program in PROGRAMS if not os.access(Path(folder) / program, os.X_OK)]
    return f"{', '.join(missing)} not found in {folder}" if missing else None


@contextmanager
def serving_kubernetes(at: Path) -> Iterator[Kube]:
    """One that serves, with rights for the adapter's user. `at`: an empty folder."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        yield _start(at, started)
    finally:
        for process in reversed(started):
            process.kill()
            process.wait(timeout=20)


def _start(at: Path, started: list[subprocess.Popen[bytes]]) -> Kube:
    etcd, peer, port = free_ports(3)
    admin, user = secrets.token_hex(), secrets.token_hex()
    (at / "tokens").write_text(f'{admin},admin,1,"system:masters"\n{user},fermata,2\n')
    (at / "token").write_text(user)
    key = ("openssl", "genrsa", "-out", str(at / "accounts.key"), "2048")
    subprocess.run(key, check=True, capture_output=True, timeout=60)
    store, url = f"http://127.0.0.1:{etcd}", f"https://127.0.0.1:{port}"
    peers = f"http://127.0.0.1:{peer}"
    options = {"data-dir": at / "etcd", "listen-client-urls": store, "advertise-client-urls": store}
    options |= {"listen-peer-urls": peers, "initial-advertise-peer-urls": peers, "initial-cluster": f"default={peers}"}
    started.append(_run(at, "etcd", {**options, "unsafe-no-fsync": "true"}))
    options = {
        "etcd-servers": store,
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        "secure-port": port,
        "cert-dir": at / "certs",
        "token-auth-file": at / "tokens",
        "authorization-mode": "RBAC",
        "disable-admission-plugins": "ServiceAccount,TaintNodesByCondition",
        "service-account-issuer": "https://cluster.example",
        "service-account-signing-key-file": at / "accounts.key",
        "service-account-key-file": at / "accounts.key",
    }
    started.append(_run(at, "kube-apiserver", options))
    wait_for((at / "certs/apiserver.crt").exists)
    wait_for(lambda: _is_ready(url))
    kube = Kube(url, admin, token_file=str(at / "token"), ca_file=str(at / "certs/apiserver.crt"))
    (at / "config").write_text(json.dumps(_configure(url, str(at / "certs/apiserver.crt"), admin)))
    options = {"kubeconfig": at / "config", "controllers": "disruption", "leader-elect": "false", "secure-port": 0}
    started.append(_run(at, "kube-controller-manager", {**options, "port": 0}))
    _grant(kube)
    return kube


def _run(at: Path, program: str, options: dict[str, object]) -> subprocess.Popen[bytes]:
    words = [str(Path(os.environ[VARIABLE]) / program), *(f"--{name}={value}" for name, value in options.items())]
    with (at / f"{program}.log").open("ab") as log:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - it takes no lock
        )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _is_ready(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/readyz", verify=False, trust_env=False).is_success
    return False


def _configure(url: str, ca_file: str, token: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": url, "certificate-authority": ca_file}}],
        "users": [{"name": "x", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }


def _grant(kube: Kube) -> None:
    """What the page says that the adapter needs, and no more; beside the maintenance-operator too."""
    page = PAGE.read_text(encoding="utf-8")
    for heading in ("## Rights", "### Rights for that"):
        _bind(kube, yaml.safe_load(page.split(f"{heading}\n\n```yaml\n")[1].split("```")[0]))
    wait_for(lambda: kube.http.get("/api/v1/namespaces/default").is_success)


def _bind(kube: Kube, role: Any) -> None:
    access, group = "/apis/rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io"
    kube.call("POST", f"{access}/clusterroles", role)
    granted = {"apiGroup": group, "kind": "ClusterRole", "name": role["metadata"]["name"]}
    subject = {"apiGroup": group, "kind": "User", "name": "fermata"}
    binding = {"metadata": role["metadata"], "roleRef": granted, "subjects": [subject]}
    kube.call("POST", f"{access}/clusterrolebindings", binding)
