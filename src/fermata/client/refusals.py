"""The no of a server, as the client raises it."""

from collections.abc import Sequence


class ServerRefusal(Exception):
    """The server said no, with codes that this version need not know. `total` counts reasons beyond those given."""

    def __init__(self, reasons: Sequence[tuple[str, str]], total: int) -> None:
        code, sentence = reasons[0]
        super().__init__(f"{code}: {sentence}")
        self.reasons = tuple(reasons)
        self.total = total
