"""What a target of the fuzzers is, and what may become of any bytes: a value, or the refusal that is promised."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from fermata.formats.faults import BadInput, Fault

CPU_SECONDS_MAX = 10.0  # of one input of at most INPUT_BYTES_MAX, on a slow machine
MEMORY_MIB_MAX = 512  # that one input may add to the most that this process ever held
INPUT_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Target:
    """One parser. `seeds`: what it reads; `words`: pieces that a grammar knows and chance does not."""

    name: str
    run: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    refusals: tuple[type[Exception], ...] = (BadInput,)
    words: tuple[bytes, ...] = field(default=())


def make(
    name: str,
    run: Callable[[bytes], object],
    *seeds: bytes,
    refusals: tuple[type[Exception], ...] = (),
    words: tuple[str, ...] = (),
) -> Target:
    """A target that reads no file of people's."""
    told = tuple(word.encode() for word in words)
    return Target(name=name, run=run, seeds=seeds, refusals=refusals, words=told)


class Broken(AssertionError):
    """A target did something else than read or refuse."""


def try_input(target: Target, data: bytes) -> bool:
    """True when the bytes were read, False when they were refused. Raises Broken for all else."""
    began, held = time.process_time(), _peak_mib()
    try:
        target.run(data)
        is_read = True
    except target.refusals as refusal:
        _judge(target, refusal, data)
        is_read = False
    except Broken:
        raise
    except Exception as error:
        raise Broken(f"{target.name}: {type(error).__name__}: {error}") from error
    took, added = time.process_time() - began, _peak_mib() - held
    if took > CPU_SECONDS_MAX:
        raise Broken(f"{target.name}: it took {took:.1f} s")
    if added > MEMORY_MIB_MAX:
        raise Broken(f"{target.name}: it took {added} MiB")
    return is_read


def of_file(read: Callable[[Path], object], name: str) -> Callable[[bytes], object]:
    """Reads bytes as a file of that name, alone in a folder."""

    def run(data: bytes) -> object:
        with TemporaryDirectory(prefix="fermata-fuzz-") as folder:
            path = Path(folder, name)
            path.write_bytes(data)
            return read(path)

    return run


def of_text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    """Reads bytes as text; those that are none are passed over in it."""
    return lambda data: read(data.decode("utf-8", "ignore"))


def _judge(target: Target, refusal: Exception, data: bytes) -> None:
    """A refusal tells a person something, and a place that it names is one that there is."""
    if isinstance(refusal, BadInput):
        if not (refusal.total >= len(refusal.faults) > 0):
            raise Broken(f"{target.name}: a refusal without a fault")
        for fault in refusal.faults:
            has_words = bool(fault.file) and len(fault.sentence) > 5
            if not (has_words and _is_placed(fault, target, data) and str(fault).encode()):
                raise Broken(f"{target.name}: a fault that says nothing, or of no place: {fault!r}")
    elif not str(refusal):
        raise Broken(f"{target.name}: a refusal without a word")


def _is_placed(fault: Fault, target: Target, data: bytes) -> bool:
    """Lines and columns are from 1; in the file that has the bytes, up to its end. A Parquet file's are its rows."""
    if not all(number is None or number >= 1 for number in (fault.line, fault.column)):
        return False
    if Path(fault.file).name != Path(target.name).name or target.name.endswith(".parquet"):
        return True
    text = data.decode(errors="replace")
    return (fault.line or 1) <= len(text.splitlines()) + 1 and (fault.column or 1) <= len(text) + 1


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
