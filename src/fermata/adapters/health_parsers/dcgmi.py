"""`dcgmi diag -r 1..4 --json`, in the two shapes that it prints.

Documented in NVIDIA's DCGM user guide, chapter "DCGM Diagnostics" (docs.nvidia.com/datacenter/dcgm), names of fields
in DCGM's public header of its JSON strings. DCGM 2 and 3 name the tree "DCGM GPU Diagnostic", and results a `gpu_id`
or `gpu_ids`, with warnings as text; DCGM 4 names it "DCGM Diagnostic", results an `entity_group` and `entity_id`, with
warnings as objects, and adds a `test_summary`. Both have test_categories > tests > results with a `status`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fermata.adapters.health_parsers.reading import as_list, as_mapping, bounded, read_json
from fermata.domain.health import Findings, Unreadable, shorten

ROOTS = ("DCGM Diagnostic", "DCGM GPU Diagnostic")
PASSED = frozenset({"pass", "passed"})
SKIPPED = frozenset({"skip", "skipped", "not run", "not_run", "notrun"})
FAILED = frozenset({"fail", "failed"})
RESULTS_MAX = 10_000  # tests times GPUs of one node


def parse(text: str, _exit_code: int) -> Findings:
    """Failed tests are faults; warnings, and a run in which no test passed, are doubts. Raises Unreadable."""
    text = bounded(text)
    begin, end = text.find("{"), text.rfind("}")  # it prints lines of text around its JSON, of some versions
    if begin < 0:
        raise Unreadable(f"it is no JSON but says: {shorten(text)}")
    answer = as_mapping(read_json(text[begin : end + 1]))
    root = next((as_mapping(answer[name]) for name in ROOTS if name in answer), None)
    if root is None:
        raise Unreadable(f"it has none of {' and '.join(ROOTS)}")
    faults, doubts, passed = [], [], 0
    for where, result in _results(root):
        status = str(result.get("status", "")).strip().lower()
        said = f"{where}: {_warnings(result) or status or 'no status'}"
        if status in FAILED:
            faults.append(said)
        elif status in PASSED:
            passed += 1
        elif status not in SKIPPED:
            doubts.append(said)
    doubts += [f"{key}: {shorten(str(root[key]))}" for key in ("runtime_error", "Warning") if root.get(key)]
    if not passed and not faults:
        doubts.append("no test passed: nothing was looked at")
    return Findings(faults=tuple(faults), doubts=tuple(doubts))


def _results(root: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every result with its test and unit in words; of a test without any, its summary."""
    count = 0
    for category in as_list(root.get("test_categories")):
        for test in as_list(as_mapping(category).get("tests")):
            name = shorten(str(as_mapping(test).get("name", "a test without a name")))
            results = as_list(as_mapping(test).get("results")) or [as_mapping(test).get("test_summary")]
            for result in results:
                count += 1
                if count > RESULTS_MAX:
                    raise Unreadable(f"it has more than {RESULTS_MAX} results")
                found = as_mapping(result)
                yield f"{name}{_unit(found)}", found


def _unit(result: Mapping[str, Any]) -> str:
    if "entity_id" in result:
        return f" on {shorten(str(result.get('entity_group', 'entity')))} {shorten(str(result['entity_id']))}"
    ids = result.get("gpu_ids", result.get("gpu_id"))
    return "" if ids is None else f" on GPU {shorten(str(ids))}"


def _warnings(result: Mapping[str, Any]) -> str:
    told = result.get("warnings")
    each = told if isinstance(told, list) else [told] if told else []
    return "; ".join(shorten(str(as_mapping(one).get("warning", one))) for one in each[:3])
