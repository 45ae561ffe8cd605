"""Uploaded files: written to a folder of their own while a reader needs them, faults told by their own names."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from fastapi import Depends, Form, UploadFile

from fermata.formats.faults import BadInput
from fermata.server.errors import ActorNotCaller
from fermata.server.principals import Caller
from fermata.services.speaking import find_speaker

NAME_MAX = 200
TEXT_MAX = 2000


def speaker(caller: Caller, actor: Annotated[str, Form(min_length=1, max_length=NAME_MAX)]) -> str:
    """Who speaks, of a form with files. Raises ActorNotCaller for anybody but who is signed in."""
    if find_speaker() is not None and actor != caller.name:
        raise ActorNotCaller(actor, caller.name)
    return actor


ActorField = Annotated[str, Depends(speaker)]
WhyField = Annotated[str, Form(max_length=TEXT_MAX)]


@contextmanager
def saved_files(files: Mapping[str, UploadFile]) -> Iterator[Path]:
    """A folder with the files under their keys, which the caller has judged; gone after the block.

    A BadInput that leaves the block names its files relative to the folder.
    """
    with TemporaryDirectory(prefix="fermata-upload-") as name:
        folder = Path(name)
        for key, upload in files.items():
            target = folder / key
            target.parent.mkdir(exist_ok=True)
            with target.open("xb") as file:
                shutil.copyfileobj(upload.file, file)
        try:
            yield folder
        except BadInput as bad:
            faults = tuple(replace(fault, file=_relative(fault.file, folder)) for fault in bad.faults)
            raise BadInput(faults, bad.total) from bad


def _relative(file: str, folder: Path) -> str:
    path = Path(file)
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else file
