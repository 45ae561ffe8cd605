"""The process that answers queries: `python -m fermata.query.worker`, started by `engine` and ended by it.

It has no file to write, no child to start and so much memory as it was given. Whatever a query makes of it, the process
that keeps the campaign is another one.
"""

import contextlib
import os
import resource
import signal
import sys
from typing import IO

import orjson
import pyarrow as pa

from fermata.query.answers import Fault, FaultKind, QueryFault, refuse_for_memory
from fermata.query.duck import Bounds, Duck
from fermata.query.pipe import PipeEnded, answer_to_bytes, fault_to_bytes, question_from_bytes, read_frame, write_frame

ANSWER_BYTES_MAX = 64 * 2**20  # of JSON: what a browser still opens
OVERHEAD_MIB = 1024  # the interpreter, its libraries and what threads reserve, beside the database's own memory


def main() -> None:
    """Tables first, then questions, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    with contextlib.suppress(PipeEnded):
        head = orjson.loads(read_frame(asked))
        bounds = Bounds(threads=head["threads"], memory_mib=head["memory_mib"])
        _lock_down(head["memory_mib"])
        os.nice(head["niceness"])
        duck = Duck({name: pa.ipc.open_stream(read_frame(asked)).read_all() for name in head["tables"]}, bounds)
        write_frame(answers, b"{}")
        while True:
            write_frame(answers, _answer(duck, asked))


def _answer(duck: Duck, asked: IO[bytes]) -> bytes:
    question, seconds = question_from_bytes(read_frame(asked))
    try:
        body = answer_to_bytes(duck.ask(question, seconds))
    except QueryFault as error:
        return fault_to_bytes(error.fault)
    except (MemoryError, SystemError):  # the second is how an extension tells that it could not allocate
        return fault_to_bytes(refuse_for_memory().fault)
    except Exception as error:  # noqa: BLE001 - top of the loop: a bug in the translator is no reason to stop answering
        return _fault(FaultKind.INVALID, f"the translator failed on it ({type(error).__name__}).")
    if len(body) > ANSWER_BYTES_MAX:
        sentence = f"the answer is longer than {ANSWER_BYTES_MAX >> 20} MiB, ask for fewer rows or columns."
        return _fault(FaultKind.OVER_LIMIT, sentence)
    return body


def _fault(kind: FaultKind, sentence: str) -> bytes:
    return fault_to_bytes(Fault(kind=kind, sentence=sentence))


def _lock_down(memory_mib: int) -> None:
    bytes_max = (memory_mib + OVERHEAD_MIB) << 20
    for limit, most in (
        (resource.RLIMIT_AS, bytes_max),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))


if __name__ == "__main__":
    main()
