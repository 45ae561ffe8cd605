"""What an operator reads about the journal as evidence."""

from types import MappingProxyType

from fermata.domain.audit_codes import AuditCode
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
        Code.BACKUP_UNREADABLE: "{file} is no backup, or is damaged ({why}): take another one.",
        Code.BACKUP_EXISTS: "{file} is there already, and no backup is written over: name another file.",
        Code.STORE_NOT_EMPTY: (
            "{store} holds a store: nothing is written over. Name an empty one, and use that once it is right."
        ),
        Code.RESTORED_OTHERWISE: (
            "Table {table} has {found} rows after the restore where the backup has {wanted}: take another empty"
            " store, and find out who else writes to this one."
        ),
        AuditCode.ARCHIVE_EXISTS: "{file} is there already, and no archive is written over: name another file.",
        AuditCode.ARCHIVE_EMPTY: "No line of the journal is older than {before}: nothing is there to archive.",
        AuditCode.ARCHIVE_NEEDED: (
            "{what} is not over, and needs what was written since {since}: archive lines before that, or end it first."
        ),
        AuditCode.ARCHIVE_FORBIDDEN: (
            "Role {role} may not delete lines of the journal, which is as it should be: archive as the owner of the"
            " tables."
        ),
        AuditCode.ARCHIVE_BROKEN: (
            "{why} Nothing was archived: a journal that does not fit stays as it is, for whoever looks into it."
        ),
        AuditCode.ARCHIVE_UNREADABLE: "{file} is no archive of a journal, or is damaged ({why}).",
        AuditCode.ARCHIVE_UNSIGNED: (
            "{file} was not signed with the private key of {key}, or its first line was changed since: it proves"
            " nothing."
        ),
        AuditCode.ARCHIVE_CHANGED: (
            "Line {seq} in {file} is the first that does not fit: it, or the line before it, is not what was archived."
        ),
        AuditCode.ARCHIVE_MISSING: (
            "Lines {first} to {last} are neither in the store nor in an archive that was given: add it with --archive."
        ),
        AuditCode.CUT_UNMET: (
            "Line {seq} carries another hash, or the archive other bytes, than was written down when lines were"
            " archived at {at} into {file}: the journal was written anew since, or the archive is not that one."
        ),
        AuditCode.CUT_UNSIGNED: (
            "The journal begins after line {seq}, and that cut was not signed with the private key of {key}: lines"
            " before it may have been taken away by anybody who can write to the database."
        ),
    }
)
