"""The logs of libraries that call others: below a warning they tell addresses and the heads of answers as they came,
where a server may say our own credentials back. Whoever opens such a client calls this first.
"""

import logging

NAMES = ("httpx", "httpcore", "httpx2", "httpcore2", "urllib3")


def quiet_clients() -> None:
    """From now on they log warnings and errors alone, whatever the level of everybody else. Harmless twice."""
    for name in NAMES:
        logging.getLogger(name).setLevel(logging.WARNING)
