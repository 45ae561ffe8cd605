"""How a node of Kubernetes carries what we write there: as the value of a taint, and in an annotation. Pure."""

import re
from collections.abc import Mapping

from fermata.adapters.step_trail import Trail, read_trail

TEXT_MAX = 500


def to_label(text: str) -> str:
    """As the value of a taint may be."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text)[:63].strip("-_.")


def read_steps(annotations: Mapping[str, str], name: str) -> Trail:
    """What the annotation keeps."""
    return read_trail(annotations.get(name, ""))
