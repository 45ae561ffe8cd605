"""The columns of a Parquet file. Apart from `tables`, so that reading CSV need not load pyarrow."""

from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from fermata.formats.faults import FaultLog

COLUMNS_MAX = 1000
CELLS_MAX = 50_000_000  # beyond it the values would not fit the memory of a small machine
UNPACKED_BYTES_MAX = 2 * 2**30  # a few kilobytes can be packed from as many gigabytes


def read_columns(
    path: Path, log: FaultLog, *, bytes_max: int = UNPACKED_BYTES_MAX
) -> list[tuple[str, list[object]]] | None:
    """Name and values of each column, in the file's order; None when it cannot be read, with the fault in `log`."""
    try:
        metadata = parquet.read_metadata(path)
        if not _fits(metadata, log, bytes_max):
            return None
        texts = [
            column.path
            for column in (metadata.schema.column(i) for i in range(metadata.num_columns))
            if column.physical_type == "BYTE_ARRAY"
        ]
        with parquet.ParquetFile(path, read_dictionary=texts) as file:
            table = file.read()
        return [(name, _values(table.column(i))) for i, name in enumerate(table.column_names)]
    except (pa.ArrowException, OSError, ValueError) as error:
        log.add(f"Not a readable Parquet file: {' '.join(str(error).split())[:200]}.")
        return None


def _fits(metadata: Any, log: FaultLog, bytes_max: int) -> bool:
    """Judged by what the file's own head tells of it, before any of it is unpacked."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    columns = metadata.num_columns
    held = sum(group.column(i).num_values for group in groups for i in range(columns)) if columns <= COLUMNS_MAX else 0
    cells, size = max(held, metadata.num_rows * columns), sum(group.total_byte_size for group in groups)
    if columns > COLUMNS_MAX or cells > CELLS_MAX:
        log.add(f"{columns} columns with {cells:,} cells: more than the {CELLS_MAX:,} that are read.")
        return False
    if size > bytes_max:
        log.add(f"{size:,} bytes once it is unpacked: more than the {bytes_max:,} that are read.")
        return False
    return True


def _values(column: Any) -> list[object]:
    """A text that a column repeats is held once: a megabyte repeated a million times is written in two. Raises
    ArrowInvalid.
    """
    values: list[object] = []
    for chunk in column.chunks:
        if isinstance(chunk, pa.DictionaryArray):
            chunk.validate(full=True)  # a damaged file may point beyond the texts
            known = chunk.dictionary.to_pylist()
            values += (None if index is None else known[index] for index in chunk.indices.to_pylist())
        else:
            values += chunk.to_pylist()
    return values
