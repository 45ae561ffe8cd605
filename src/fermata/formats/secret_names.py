"""Names of secrets where files of the operator have them."""

from pathlib import Path

from fermata.domain.secrets import SecretRef, parse_ref, ref_of_file
from fermata.formats.fields import Fields


def read_ref(fields: Fields, key: str, folder: Path) -> SecretRef | None:
    """The name of a secret, None where there is no such key. Its fault repeats nothing of what stands there."""
    if not fields.has(key):
        return None
    try:
        return parse_ref(fields.text(key), folder)
    except ValueError as error:
        fields.fault(key, f"{str(error)[:1].upper()}{str(error)[1:]}.")
        return None


def choose_ref(fields: Fields, key: str, folder: Path) -> SecretRef | None:
    """What `key` names, or the file that stands under the same word with `_file` behind it; never both."""
    named, file = read_ref(fields, key, folder), fields.text(f"{key}_file") if fields.has(f"{key}_file") else None
    if named is not None and file is not None:
        fields.fault(key, f"{key} and {key}_file are two ways to say where it is: name one.")
    return named or (ref_of_file(folder / file) if file is not None else None)
