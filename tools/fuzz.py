"""Gives every target of `tests/fuzz` inputs for a while, each in a process of its own: `make fuzz SECONDS=1800`.

With Atheris installed (`pip install atheris`, Linux), inputs are chosen by the code that they reach; without it, by
chance. What breaks a target is written into a folder, once for each kind of failure, and the rest goes on.
"""

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from random import Random, SystemRandom

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
HANG_SECONDS = 60  # of one input: then its process ends, and the input is kept
RSS_MIB_MAX = 4096
READERS = ("formats", "query", "server", "adapters", "services.archive_reading", "domain.recurrence", "domain.reach")


def main() -> int:
    """0 when nothing was found."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=1800.0, help="of each target")
    options.add_argument("--only", default="", help="targets whose names hold this")
    options.add_argument("--finds", type=Path, default=Path("fuzz-finds"), help="folder for what breaks a target")
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--plain", action="store_true", help="by chance, even where Atheris is installed")
    options.add_argument("--verbose", action="store_true", help="let targets and Atheris say what they say")
    asked = options.parse_args()
    asked.finds.mkdir(parents=True, exist_ok=True)
    asked.finds = asked.finds.resolve()
    return fuzz_all(asked)


def fuzz_all(asked: argparse.Namespace) -> int:
    """Every target, some at a time; prints a line for each. Each is a fork of this process, which has read all code and
    with Atheris marked it: on a busy machine that takes longer than a short run of a target.
    """
    with _marked(is_plain=asked.plain):
        from tests.fuzz.targets import list_targets  # noqa: PLC0415 - marked as it is imported

        waiting = [name for name in list_targets() if asked.only in name]
    running: dict[int, tuple[str, Path, float]] = {}
    worst = 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fermata-told-") as folder:
        while waiting or running:
            while waiting and len(running) < asked.jobs:
                name, told = waiting.pop(0), Path(folder, str(len(waiting)))
                running[_fork(name, asked, told)] = name, told, time.monotonic()
            number, status, used = os.wait4(-1, 0)
            if number not in running:
                continue
            name, told, since = running.pop(number)
            last = told.read_text() if told.exists() else "ended early"
            code = os.waitstatus_to_exitcode(status)
            worst = max(worst, int(code != 0 or not last.endswith(" 0 broken")))
            took = f"{time.monotonic() - since:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of CPU"
            print(f"{name:40} {last}, {took}{'' if code == 0 else f', exit {code}'}", flush=True)
    print(f"in all {time.monotonic() - began:.0f} s", flush=True)
    return worst


def _fork(name: str, asked: argparse.Namespace, told: Path) -> int:
    """The number of a process that fuzzes one target and leaves its tally in `told`."""
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        if not asked.verbose:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.dup2(nowhere, 1)
        fuzz_one(name, asked.seconds, asked.finds, told, is_plain=asked.plain)
        code = 0
    finally:
        os._exit(code)


def _marked(*, is_plain: bool) -> AbstractContextManager[object]:
    """Code that is imported inside is marked, so that Atheris sees which of it an input reaches."""
    if is_plain or find_spec("atheris") is None:
        return nullcontext()
    import atheris  # noqa: PLC0415 - only where it is installed

    found: AbstractContextManager[object] = atheris.instrument_imports(include=[f"fermata.{part}" for part in READERS])
    return found


class Tally:
    """Tries inputs one by one and keeps what breaks the target, each kind of failure once."""

    def __init__(self, name: str, finds: Path) -> None:
        from tests.fuzz import target as fuzzing  # noqa: PLC0415
        from tests.fuzz.targets import list_targets  # noqa: PLC0415

        self.target = list_targets()[name]
        self._fuzzing = fuzzing
        self._finds = finds
        self._kinds = set[str]()
        self.tried = self.read = 0

    def take(self, data: bytes) -> None:
        """One input."""
        self.tried += 1
        try:
            self.read += self._fuzzing.try_input(self.target, data)
        except self._fuzzing.Broken as broken:
            self._keep(data, broken)

    def _keep(self, data: bytes, broken: Exception) -> None:
        cause = broken.__cause__ or broken
        last = cause.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        kind = (
            f"{type(cause).__name__} {last.tb_frame.f_code.co_qualname}:{last.tb_lineno}" if last else str(broken)[:60]
        )
        if kind not in self._kinds:
            self._kinds.add(kind)
            stem = f"{self.target.name.replace('/', '-').replace(' ', '-')}-{hashlib.sha256(data).hexdigest()[:10]}"
            (self._finds / f"{stem}.input").write_bytes(data)
            (self._finds / f"{stem}.txt").write_text(f"{kind}\n{broken}\n", errors="replace")

    def __str__(self) -> str:
        return f"tried {self.tried:,}, {self.read:,} read, {len(self._kinds)} broken"


def fuzz_one(name: str, seconds: float, finds: Path, told: Path, *, is_plain: bool) -> None:
    """In this process. Atheris does not come back: it ends the process."""
    tally = Tally(name, finds)
    if not is_plain and find_spec("atheris") is not None:
        _by_coverage(tally, seconds, finds, told)
        return
    from tests.fuzz.mutating import inputs_of  # noqa: PLC0415

    until = time.monotonic() + seconds
    for data in inputs_of(tally.target, Random(SystemRandom().getrandbits(64))):
        tally.take(data)
        if time.monotonic() > until:
            break
    told.write_text(str(tally))


def _by_coverage(tally: Tally, seconds: float, finds: Path, told: Path) -> None:
    import atheris  # noqa: PLC0415

    until = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="fermata-corpus-") as folder:
        corpus, words = Path(folder, "corpus"), Path(folder, "words")
        corpus.mkdir()
        for number, seed in enumerate(tally.target.seeds):
            (corpus / f"seed{number}").write_bytes(seed)
        lines = ('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in tally.target.words if word)
        words.write_text("".join(lines))
        flags = [f"-dict={words}", f"-timeout={HANG_SECONDS}", "-max_len=8192"]
        flags += [f"-rss_limit_mb={RSS_MIB_MAX}", f"-artifact_prefix={finds}/", "-print_final_stats=0", "-verbosity=0"]

        def take(data: bytes) -> None:
            """Ends the process itself: when libFuzzer does, nothing of ours runs, and nobody is told the tally."""
            tally.take(data)
            if time.monotonic() > until:
                told.write_text(str(tally))
                shutil.rmtree(folder, ignore_errors=True)
                os._exit(0)

        atheris.Setup([sys.argv[0], str(corpus), *flags], take)
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
