"""Reads the metrics file: where a Prometheus is, and what is asked of it, with thresholds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from fermata.domain.metrics import COMMON_METRICS, STALE_AFTER, MetricRule
from fermata.domain.reach import find_trusted_url_fault
from fermata.domain.secrets import SecretRef
from fermata.formats.faults import FaultLog, raise_faults
from fermata.formats.fields import Document, Fields, check_unique
from fermata.formats.secret_names import choose_ref
from fermata.formats.yamltext import read_yaml

REACH_KEYS = ("token", "token_file", "ca_file")
METRIC_REQUIRED = ("name", "query", "series", "label")
METRIC_OPTIONAL = ("above", "below", "stale_after_seconds")
STALE_SECONDS_MAX = 3600
THRESHOLD_MAX = 1e15


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsFile:
    """Where metrics are read, and which there are: those of the file beside the common ones, whose place they take."""

    url: str
    token: SecretRef | None
    ca_file: str | None
    rules: Mapping[str, MetricRule]


def read_metrics(path: Path) -> MetricsFile:
    """Read the file `path`. Paths in it are relative to its folder. Raises BadInput with all its faults."""
    document = Document(log=FaultLog(path))
    root = read_yaml(path, document.log)
    found = None
    if root is not None:
        top = Fields(document, root, required=("prometheus",), optional=("metrics",))
        found = _decode(document, top, path.parent)
    raise_faults([document.log])
    assert found is not None, "a file without faults is read"
    return found


def _decode(document: Document, top: Fields, folder: Path) -> MetricsFile:
    reach = top.fields("prometheus", required=("url",), optional=REACH_KEYS)
    spots = top.items("metrics")
    listed = [Fields(document, spot, required=METRIC_REQUIRED, optional=METRIC_OPTIONAL) for spot in spots]
    check_unique((fields.spot("name") for fields in listed), document.log, "Metric")
    rules = [_rule(fields) for fields in listed]
    return MetricsFile(
        url=_url(reach),
        token=choose_ref(reach, "token", folder),
        ca_file=str(folder / reach.text("ca_file")) if reach.has("ca_file") else None,
        rules={rule.name: rule for rule in (*COMMON_METRICS, *rules)},
    )


def _url(reach: Fields) -> str:
    url = reach.text("url").rstrip("/")
    if reach.spot("url") is None:
        return url
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        is_good = False
    if not is_good or parts.query or parts.fragment:
        reach.fault("url", "It must be an http or https address without user, password, query and fragment.")
    elif (fault := find_trusted_url_fault(url)) is not None:
        reach.fault("url", f"It is never called: {fault}.")
    return url


def _rule(fields: Fields) -> MetricRule:
    stale_after = STALE_AFTER
    if fields.has("stale_after_seconds"):
        stale_after = timedelta(seconds=fields.integer("stale_after_seconds", least=1, most=STALE_SECONDS_MAX))
    above, below = (_threshold(fields, key) for key in ("above", "below"))
    if above is None and below is None:
        fields.fault("name", "It has no threshold: set above, below or both.")
    elif above is not None and below is not None and below > above:
        fields.fault("below", "It is above the other threshold, so that no value is within both.")
    return MetricRule(
        name=fields.name("name"),
        query=fields.text("query"),
        series=fields.text("series"),
        label=_label(fields),
        above=above,
        below=below,
        stale_after=stale_after,
    )


def _threshold(fields: Fields, key: str) -> float | None:
    return fields.number(key, above=None, least=-THRESHOLD_MAX, most=THRESHOLD_MAX) if fields.has(key) else None


def _label(fields: Fields) -> str:
    label = fields.text("label")
    if fields.spot("label") is not None and not (label.isascii() and label.isidentifier()):
        fields.fault("label", "It must be the name of a label: letters, digits and underscores.")
    return label
