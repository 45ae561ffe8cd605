"""Metrics of a real Prometheus that scrapes an exporter on loopback: values, age, silence, and what it refuses."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.adapters.health.sshd import PATIENCE_SECONDS, await_port
from tests.adapters.loopback import Answer, Asked, serving

from fermata.adapters.inventory_http import Access
from fermata.adapters.prometheus import PrometheusMetrics
from fermata.domain.ids import NodeId
from fermata.domain.metrics import (
    COMMON_METRICS,
    Breach,
    Fine,
    Measure,
    MetricRule,
    NoEvidence,
    Read,
    Reading,
    Unread,
    judge_metrics,
)

NODE, OTHER = NodeId("gpu001"), NodeId("gpu002")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def exported(xid: int = 0, degrees: int = 44) -> str:
    """As the DCGM exporter writes it: two GPUs of gpu001, one of gpu002."""
    lines = []
    for name, values in (("DCGM_FI_DEV_XID_ERRORS", (0, xid, 0)), ("DCGM_FI_DEV_GPU_TEMP", (31, degrees, 40))):
        lines.append(f"# TYPE {name} gauge")
        for (host, gpu), value in zip(((NODE, 0), (NODE, 1), (OTHER, 0)), values, strict=True):
            lines.append(f'{name}{{gpu="{gpu}",UUID="GPU-{gpu}",modelName="NVIDIA H100",Hostname="{host}"}} {value}')
    return "\n".join(lines) + "\n"


@dataclass
class Bench:
    """Prometheus, and the handles of its exporter."""

    metrics: PrometheusMetrics
    text: str = exported()
    status: int = 200

    def read(self, *names: str) -> dict[str, Reading]:
        return dict(self.metrics.read(names))

    def await_measure(self, names: Sequence[str], wanted: Callable[[Measure], bool]) -> Measure:
        ends = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = judge_metrics(NODE, self.metrics.read(names), since=LONG_AGO, now=datetime.now(UTC))
            if wanted(found):
                return found
            assert time.monotonic() < ends, found
            time.sleep(0.2)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    if shutil.which("prometheus") is None:
        pytest.skip("no Prometheus on this machine: install Debian's prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    rules = {rule.name: replace(rule, stale_after=timedelta(seconds=30)) for rule in COMMON_METRICS}
    found = Bench(PrometheusMetrics(access=Access(url="", scheme="Bearer"), rules=rules))
    with serving(lambda _: Answer(found.text, found.status, {"Content-Type": "text/plain"})) as (exporter, _):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        target = exporter.removeprefix("http://")
        config = folder / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 500ms, scrape_timeout: 400ms}\n"
            f"scrape_configs:\n- job_name: dcgm\n  static_configs: [{{targets: ['{target}']}}]\n"
            "- job_name: node\n  metric_relabel_configs: []\n  relabel_configs:\n"
            "  - {source_labels: [host], target_label: instance, replacement: '$1:9100'}\n"
            f"  static_configs: [{{targets: ['{target}'], labels: {{host: gpu001}}}}]\n"
        )
        words = [
            *("prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data"),
            *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"),
        ]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(words, stdout=log, stderr=log)
            try:
                await_port(port, server)
                found.metrics = replace(found.metrics, access=Access(url=f"http://127.0.0.1:{port}", scheme="Bearer"))
                yield found
            finally:
                server.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(PATIENCE_SECONDS)


def is_fine(measure: Measure) -> bool:
    return isinstance(measure, Fine)


@pytest.mark.slow
@pytest.mark.xdist_group("prometheus")
def test_the_worst_gpu_of_a_node_speaks_for_it_and_silence_is_no_evidence(bench: Bench) -> None:
    names = ("xid", "temperature", "node_up")
    bench.await_measure(names, is_fine)
    reading = bench.read("temperature")["temperature"]
    assert isinstance(reading, Read)
    assert reading.values == {NODE: (44.0,), OTHER: (40.0,)}

    bench.text = exported(xid=79)
    found = bench.await_measure(names, lambda measure: isinstance(measure, Breach))
    assert found == Breach(why="xid is 79, above 0")
    now = datetime.now(UTC)
    assert is_fine(judge_metrics(OTHER, bench.read("xid"), since=LONG_AGO, now=now))

    bench.text = exported()
    bench.await_measure(names, is_fine)
    ahead = judge_metrics(NODE, bench.read("xid"), since=datetime.now(UTC) + timedelta(minutes=1), now=now)
    assert ahead == NoEvidence(why="xid: gpu001 was not scraped since it came back")

    bench.status = 500
    found = bench.await_measure(("xid",), lambda measure: isinstance(measure, NoEvidence))
    assert found == NoEvidence(why="xid: no series of gpu001")
    down = bench.await_measure(("node_up",), lambda measure: isinstance(measure, Breach))
    assert down == Breach(why="node_up is 0, below 1")
    bench.status = 200
    bench.await_measure(names, is_fine)


@pytest.mark.slow
@pytest.mark.xdist_group("prometheus")
def test_a_query_that_is_none_is_told_in_prometheus_own_words(bench: Bench) -> None:
    bad = MetricRule(name="bad", query="max by (", series="up", label="instance", above=1)
    scalar = replace(bad, name="scalar", query="1 + 1")
    unlabelled = replace(bad, name="unlabelled", query="vector(1)")
    metrics = replace(bench.metrics, rules={rule.name: rule for rule in (bad, scalar, unlabelled)})
    found = metrics.read(["bad", "scalar", "unlabelled", "nowhere"])
    said = {name: reading.why for name, reading in found.items() if isinstance(reading, Unread)}
    assert "parse error" in said["bad"]
    assert "gives a scalar" in said["scalar"]
    assert "without a label instance" in said["unlabelled"]
    assert "does not define it" in said["nowhere"]


RULE = MetricRule(name="xid", query="q", series="s", label="Hostname", above=0)


def test_a_server_that_is_away_or_none_leaves_everything_unread() -> None:
    away = PrometheusMetrics(access=Access(url="http://127.0.0.1:9", scheme="Bearer"), rules={"xid": RULE})
    (reading,) = away.read(["xid"]).values()
    assert isinstance(reading, Unread)
    assert "does not answer" in reading.why

    def answer(_asked: Asked) -> Answer:
        return Answer({"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}}]}})

    with serving(answer) as (url, _):
        (reading,) = replace(away, access=Access(url=url, scheme="Bearer")).read(["xid"]).values()
    assert isinstance(reading, Unread)


@pytest.mark.parametrize(
    ("values", "age_seconds", "said"),
    [
        ((), 1.0, "no series"),
        ((float("nan"),), 1.0, "is no number"),
        ((0.0,), 181.0, "was scraped last at"),
        ((0.0,), -5.0, "was scraped last at"),
        ((5.0,), 181.0, "was scraped last at"),
    ],
)
def test_what_is_missing_stale_ahead_or_no_number_is_no_evidence(
    values: tuple[float, ...], age_seconds: float, said: str
) -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    read = Read(rule=RULE, values={NODE: values}, seen_at={NODE: now - timedelta(seconds=age_seconds)})
    found = judge_metrics(NODE, {"xid": read}, since=LONG_AGO, now=now)
    assert isinstance(found, NoEvidence)
    assert said in found.why


def test_a_breach_of_one_metric_beats_silence_of_another() -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    read = Read(rule=RULE, values={NODE: (79.0,)}, seen_at={NODE: now})
    found = judge_metrics(NODE, {"a": Unread(why="away"), "xid": read}, since=LONG_AGO, now=now)
    assert found == Breach(why="xid is 79, above 0")
