"""What was imported, the import of more, and the end of the one input that a store can do without."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import File, Form, Query, UploadFile, status

from fermata.formats.faults import BadInput, Fault, one_of, quote
from fermata.server.api.nouns import open_noun
from fermata.server.api.uploads import NAME_MAX, TEXT_MAX, ActorField, WhyField, saved_files
from fermata.server.context import Given
from fermata.services import import_files, inventory, records

FILES_MAX = 10  # a scenario has nine

router = open_noun("imports")


@router.get("/imports")
def get_imports(given: Given) -> records.ImportsLine:
    """Counts of what the store holds, and which inputs are still missing."""
    return records.list_imports(given.db)


@router.post("/imports", status_code=status.HTTP_201_CREATED)
def post_import(
    given: Given,
    kind: Annotated[import_files.ImportKind, Form()],
    actor: ActorField,
    files: Annotated[list[UploadFile], File(min_length=1, max_length=FILES_MAX)],
    why: WhyField = "",
) -> inventory.ImportSummary:
    """Takes files into the store, all of them or nothing. The name of each part is that of its file in the folder."""
    with saved_files(_by_name(kind, files)) as folder:
        read = import_files.read_import(kind, import_files.place_of(kind, folder))
    return inventory.import_set(given.db, read, now=given.now(), actor=actor, why=why).summary


@router.delete("/workloads")
def delete_workloads(
    given: Given,
    actor: Annotated[str, Query(min_length=1, max_length=NAME_MAX)],
    why: Annotated[str, Query(max_length=TEXT_MAX)] = "",
) -> inventory.WorkloadsRemoved:
    """From now on plans know no service; the other inputs stay, and so do plans that were made."""
    return inventory.remove_workloads(given.db, now=given.now(), actor=actor, why=why)


def _by_name(kind: import_files.ImportKind, files: list[UploadFile]) -> Mapping[str, UploadFile]:
    """Only names that we know come near a path. Raises BadInput naming all others, and those given twice."""
    known = import_files.list_names(kind)
    found: dict[str, UploadFile] = {}
    faults = []
    for upload in files:
        name = upload.filename or ""
        if name not in known:
            sentence = f"An import of {kind} has no such file: name it {one_of(sorted(known))}."
            faults.append(Fault(file=quote(name), line=None, column=None, sentence=sentence))
        elif name in found:
            faults.append(Fault(file=name, line=None, column=None, sentence="This file was sent twice."))
        found[name] = upload
    if faults:
        raise BadInput(tuple(faults), len(faults))
    return found
