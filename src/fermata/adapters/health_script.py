"""A check as POSIX shell: a folder named after the job is its marker, so that whoever comes second runs nothing.

The folder holds `boot` and `pid` of what runs, `output` (its first bytes, both streams) and, once it is over, `end`:
the time in seconds since 1970, the clock's time when it began to be written, and the exit code. Needs `timeout`,
`head` and `mktemp` of coreutils or busybox, nothing of ours.
"""

import re
import shlex
from datetime import UTC, datetime, timedelta
from typing import Final

from fermata.adapters.health_checks import OUTPUT_BYTES_MAX, Absent, Ended, Going, Job, Lost, Seen

KEPT_DAYS = 30  # markers; a step that is asked about after that has long been decided otherwise
TERM_EXIT_CODE: Final = 124  # of `timeout`, when the time was over...
KILL_EXIT_CODE: Final = 137  # ...and when the command did not heed it
KILL_AFTER_SECONDS = 10
BEGINS_WITHIN_MINUTES = 2  # between the marker and the process: longer, and whoever made it died in between
UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")  # nothing that a shell, ssh or scontrol takes for more
_HEAD = re.compile(r"\A(absent|going|lost|ended (\d{1,12}) (\d{1,12}) (\d{1,3})) ?\n", re.ASCII)

_RUN = """\
cd {folder} || exit 90
cat /proc/sys/kernel/random/boot_id >boot 2>/dev/null
echo $$ >pid
{{ timeout -k {kill} {seconds} {command} 2>&1 </dev/null; echo $? >code; }} |
  {{ head -c {most} >output; cat >/dev/null; }}
printf '%s %s\\n' "$(date +%s)" "$(cat code)" >end.new && mv end.new end
"""


def write_run(job: Job, base: str) -> str:
    """Makes the marker and runs the check in the foreground; ends at once where the marker is there."""
    folder = f"{base}/{job.name}"
    run = _RUN.format(
        folder=shlex.quote(folder),
        kill=KILL_AFTER_SECONDS,
        seconds=int(job.time_limit.total_seconds()),
        command=shlex.join(job.command),
        most=OUTPUT_BYTES_MAX,
    )
    return (
        f"umask 077\nmkdir -p {shlex.quote(base)} || exit 90\nmkdir {shlex.quote(folder)} 2>/dev/null || exit 0\n{run}"
    )


def write_start(job: Job, base: str) -> str:
    """The same, detached from whoever asks. Ends with 0 once the marker is there, with 90 when it cannot be made."""
    folder, run = shlex.quote(f"{base}/{job.name}"), write_run(job, base).partition("|| exit 0\n")[2]
    return (
        f"umask 077\nmkdir -p {shlex.quote(base)} || exit 90\n"
        f"find {shlex.quote(base)} -mindepth 1 -maxdepth 1 -name 'fermata-*' -mtime +{KEPT_DAYS} -exec rm -rf {{}} +\n"
        f"if ! mkdir {folder} 2>/dev/null; then [ -d {folder} ] && exit 0; exit 90; fi\n"
        f"setsid sh -c {shlex.quote(run)} </dev/null >/dev/null 2>&1 &\n"
    )


def write_look(job: Job, base: str) -> str:
    """Prints how far the check is, then its output."""
    return (
        f"cd {shlex.quote(f'{base}/{job.name}')} 2>/dev/null || {{ echo absent; exit 0; }}\n"
        f'if [ -s end ]; then read -r at code <end; echo "ended $at $(date +%s) $code"; '
        f"head -c {OUTPUT_BYTES_MAX} output; exit 0; fi\n"
        f"boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)\n"
        f'if [ -s pid ]; then [ "$boot" = "$(cat boot)" ] && kill -0 "$(cat pid)" 2>/dev/null && '
        f"{{ echo going; exit 0; }}; [ -s end ] && echo going || echo lost; exit 0; fi\n"
        f'if [ -n "$(find . -maxdepth 0 -mmin +{BEGINS_WITHIN_MINUTES})" ]; then echo lost; else echo going; fi\n'
    )


def read_look(text: str, now: datetime) -> Seen | None:
    """What `write_look` printed; None: something else did. The end is told by our clock, whatever the node's says."""
    found = _HEAD.match(text)
    if found is None:
        return None
    if found[1] in ("absent", "going"):
        return Absent() if found[1] == "absent" else Going()
    if found[1] == "lost":
        return Lost(
            at=now, why="nothing runs there any more and it left no result: the node rebooted, or it was killed"
        )
    ago = max(timedelta(0), timedelta(seconds=int(found[3]) - int(found[2])))
    return to_ended(now - ago, int(found[4]), text[found.end() :])


def to_ended(at: datetime, exit_code: int, output: str) -> Ended:
    """An end, with no exit code where the time was over."""
    is_over = exit_code in (TERM_EXIT_CODE, KILL_EXIT_CODE)
    return Ended(at=at.astimezone(UTC), exit_code=None if is_over else exit_code, output=output)
