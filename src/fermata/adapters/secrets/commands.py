"""Secrets that a program prints, as credential helpers of containers and of clusters do: no shell, a time limit, and
nothing of what it says is told anywhere.
"""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from typing import Any

from fermata.domain.reasons import SecretCode, reason
from fermata.domain.secrets import Missing, SecretCommand, SecretRef

PASSED = ("PATH", "HOME", "LANG", "TZ", "TMPDIR")  # of our environment, which has secrets of its own
PRINTED_BYTES_MAX = 256 * 1024


def run_command(ref: SecretRef, command: SecretCommand, environment: Mapping[str, str]) -> str | Missing:
    """What it prints, or what stands in there under its key. What it writes as errors is thrown away."""
    program = command.words[0]
    passed = {name: environment[name] for name in (*PASSED, *command.passed) if name in environment}
    try:
        process = subprocess.Popen(
            command.words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=passed,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = f"cannot be started ({getattr(error, 'strerror', None) or type(error).__name__})"
        return Missing(reason=reason(SecretCode.SECRET_ABSENT, secret=ref, where=program, why=why))
    with process:
        try:
            printed, _ = process.communicate(timeout=command.seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            why = f"did not end within {command.seconds:g} s"
            away = reason(SecretCode.SECRET_SOURCE_AWAY, secret=ref, where=program, why=why)
            return Missing(reason=away, is_away=True)
    if process.returncode != 0:
        why = f"ended with {process.returncode}"
        return Missing(reason=reason(SecretCode.SECRET_ABSENT, secret=ref, where=program, why=why))
    return _read(ref, command, printed)


def _end(process: subprocess.Popen[bytes]) -> None:
    """It and what it started, which would keep our end of its output open."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _read(ref: SecretRef, command: SecretCommand, printed: bytes) -> str | Missing:
    where = f"what {command.words[0]} prints"
    if len(printed) > PRINTED_BYTES_MAX:
        return _unfit(ref, where, f"it is longer than {PRINTED_BYTES_MAX:,} bytes")
    try:
        text = printed.decode()
    except UnicodeDecodeError:
        return _unfit(ref, where, "it is no text in UTF-8")
    if not command.key:
        return text
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return _unfit(ref, where, "it is no JSON")
    for word in command.key:
        found = found.get(word) if isinstance(found, dict) else None
    return found if isinstance(found, str) else _unfit(ref, where, f"it has no text under {'.'.join(command.key)}")


def _unfit(ref: SecretRef, where: str, why: str) -> Missing:
    return Missing(reason=reason(SecretCode.SECRET_UNFIT, secret=ref, where=where, why=why))
