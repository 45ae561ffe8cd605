"""Which licences our dependencies may have, and which of them has another: read by `make sbom` and its test.

The first line of what a package says of itself is judged, as pip-licenses gives it. What a package does not say is
stated here by hand, with where it was read.
"""

import re
from collections.abc import Mapping

ALLOWED = frozenset(
    {
        "0BSD", "Apache Software License", "Apache Software License v2", "Apache-2.0", "BSD", "BSD License",
        "BSD-2-Clause", "3-Clause BSD License", "BSD-3-Clause", "CC0-1.0", "ISC", "ISC License (ISCL)", "MIT",
        "MIT License", "MIT-0", "MIT-CMU", "MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)", "PSF-2.0",
        "Python Software Foundation License", "The MIT License (MIT)", "Zlib",
    }
)  # fmt: skip
STATED: Mapping[str, str] = {
    "cel-python": "Apache-2.0",  # LICENSE in its sources
    "requests-unixsocket": "Apache-2.0",  # LICENSE in its sources
    "cedarpy": "Apache-2.0",  # LICENSE in its sources; its metadata names none
    "pytest-timeout": "MIT",  # "DFSG approved" beside it is no licence
}
EXCEPTIONS: Mapping[str, str] = {
    "ansible-core": "GPL, run as a program and never imported: docs/decisions/0087; an extra, not of the product",
    "chardet": "LGPL, brought by a test client and by the tool that writes SBOMs; nothing of it is shipped",
    "psycopg": "LGPL-3.0, imported as it is, and replaceable by whoever installs us",
    "psycopg-binary": "LGPL-3.0, as psycopg",
    "timezonefinder-data": "ODbL, data that a test client brings; nothing of it is shipped",
}


def judge(name: str, told: str) -> str | None:
    """Why a package may not be a dependency; None when it may."""
    if name in EXCEPTIONS:
        return None
    licence = STATED.get(name, told.strip().partition("\n")[0].strip())
    either = [part.strip(" ()") for part in re.split(r"\s+OR\s+", licence)]
    if licence in ALLOWED or any(_is_allowed(part) for part in either):
        return None
    return f"{name}: {licence or 'says no licence'}"


def _is_allowed(licence: str) -> bool:
    """All that hold together; `;` is how classifiers are joined."""
    return all(part.strip(" ()") in ALLOWED for part in re.split(r"\s+AND\s+|;", licence))
