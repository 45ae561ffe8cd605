"""Sentences about sources of inventory."""

from collections.abc import Mapping
from types import MappingProxyType

from fermata.domain.codes import Code

OF_SOURCES: Mapping[Code, str] = MappingProxyType(
    {
        Code.SOURCE_SAYS_TOO_LITTLE: (
            "{source} names {unit}, but not its {column}: {why}. Mend the source, or the rule {column} in its settings."
        ),
        Code.SOURCE_NAMES_TWICE: "{source} names {unit} {times} times: which is meant nobody knows. Mend the source.",
        Code.SOURCE_CONFLICT: (
            "{unit} belongs to source {owner}, and {source} says something of it too: narrow the rules `only` of one of"
            " them, or end the other with fermata inventory forget."
        ),
        Code.SOURCE_FAILED: "{source} could not be read, nothing was changed: {why}",
        Code.SOURCE_UNKNOWN: "No source {source} stands in the settings of sources{nearest}.",
        Code.SOURCE_ONLY_PUSHED: "{source} is pushed by others, there is nothing to ask: see fermata inventory held.",
        Code.SOURCE_NOT_PUSHED: "{source} is asked by us ({kind}); only a source of kind push takes what is sent.",
        Code.SOURCE_IN_USE: (
            "{source} stands in the settings of sources and would be back with its next sync: take it out there first."
        ),
    }
)
