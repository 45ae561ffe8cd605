"""Checkpoints of the journal: what its last line carried at a time, signed, and kept where the store cannot reach."""

from dataclasses import dataclass
from datetime import UTC, datetime

SCHEMA = "fermata.checkpoint/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Line `seq` of the journal carried `head` (SHA-256, hex) at `at`. All lines up to it follow from that hash."""

    seq: int
    head: str
    at: datetime

    @property
    def signed(self) -> bytes:
        """What a signature is over."""
        return f"{SCHEMA}\n{self.seq}\n{self.head}\n{self.at.astimezone(UTC).isoformat()}\n".encode()
