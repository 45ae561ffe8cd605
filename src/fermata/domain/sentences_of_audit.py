"""What an operator reads about the journal as evidence."""

from types import MappingProxyType

from fermata.domain.codes import Code

OF_AUDIT = MappingProxyType(
    {
        Code.JOURNAL_EMPTY: "The journal holds no line yet, so there is nothing to sign: import a fleet first.",
        Code.JOURNAL_LINE_CHANGED: (
            "Line {seq} ({event} of {subject}, {at}) is the first that does not fit: it, or the line before it, is not"
            " what was written. No line after it proves anything: compare with a backup taken before, and find out who"
            " could write to the database."
        ),
        Code.JOURNAL_LINES_GONE: (
            "Lines {first} to {last} of the journal are gone: line {seq} ({event} of {subject}, {at}) does not follow"
            " what is left. Compare with a backup taken before, and find out who could write to the database."
        ),
        Code.CHECKPOINT_UNMET: (
            "Line {seq} carried another hash when the checkpoint of {at} was signed: the journal up to there was"
            " written anew since, or the checkpoint is of another store."
        ),
        Code.CHECKPOINT_BEYOND: (
            "The checkpoint of {at} was signed at line {seq}, and the journal has no such line: lines were cut off its"
            " end (a backup restored?), or the checkpoint is of another store."
        ),
    }
)
