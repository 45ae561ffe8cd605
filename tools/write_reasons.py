"""Writes docs/reasons.md from the codes and sentences in `fermata.domain.reasons` (`make reasons`)."""

from pathlib import Path

from fermata.domain.reasons import CODES, SENTENCES

HEAD = """# Reason codes

Every wait, refusal, hold and violation carries one of these codes and its sentence. The codes are stable:
automation may match on them. What stands in braces is filled in. Rules of a plan have codes
of their own: [rules.md](rules.md). Written by `make reasons`.

| code | sentence |
|---|---|
"""


def main() -> None:
    """Replaces the file; the order is that of the source, which groups codes by what they are about."""
    lines = [f"| `{code}` | {SENTENCES[code].replace('|', '/')} |" for code in CODES]
    Path("docs/reasons.md").write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
