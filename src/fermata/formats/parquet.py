"""The columns of a Parquet file. Apart from `tables`, so that reading CSV need not load pyarrow."""

from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from fermata.formats.faults import FaultLog

COLUMNS_MAX = 1000
CELLS_MAX = 50_000_000  # beyond it the values would not fit the memory of a small machine


def read_columns(path: Path, log: FaultLog) -> list[tuple[str, list[object]]] | None:
    """Name and values of each column, in the file's order; None when it cannot be read, with the fault in `log`."""
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            cells = file.metadata.num_rows * len(names)
            if len(names) > COLUMNS_MAX or cells > CELLS_MAX:
                log.add(f"{len(names)} columns with {cells:,} cells: more than the {CELLS_MAX:,} that are read.")
                return None
            table = file.read()
            return [(name, table.column(i).to_pylist()) for i, name in enumerate(names)]
    except (pa.ArrowException, OSError, ValueError) as error:
        log.add(f"Not a readable Parquet file: {' '.join(str(error).split())[:200]}.")
        return None
