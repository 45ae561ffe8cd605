"""LBNL Node Health Check (`nhc`): an exit code, and lines of what failed.

Documented in the README of the nhc project (github.com/mej/nhc): nhc ends with 0 of a healthy node, else it prints or
logs "ERROR:  nhc:  Health check failed:  <check>:  <what>" and ends with another code.
"""

import re

from fermata.adapters.health_parsers.reading import OUTPUT_MAX
from fermata.domain.health import Findings, Unreadable, shorten

FAILURES_MAX = 50
_FAILED = re.compile(r"ERROR:\s{1,8}nhc:\s{1,8}Health check failed:\s{0,8}(.{1,400})")
_WARNED = re.compile(r"WARNING:\s{1,8}nhc:\s{1,8}(.{1,400})")


def parse(text: str, exit_code: int) -> Findings:
    """What failed is a fault if the exit code says so too; a failure that ends with 0, an error that names no check
    and warnings are doubts. Raises Unreadable.
    """
    if len(text) > OUTPUT_MAX:
        raise Unreadable(f"it is longer than {OUTPUT_MAX} characters")
    failed = [shorten(words) for words in _FAILED.findall(text)[:FAILURES_MAX]]
    warned = tuple(shorten(words) for words in _WARNED.findall(text)[:FAILURES_MAX])
    if exit_code != 0:
        return Findings(faults=tuple(failed), doubts=warned)
    return Findings(doubts=(*(f"it ends with 0 and says: {words}" for words in failed), *warned))
