"""Parquet files that are damaged: read or refused, wherever the damage is."""

from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from fermata.formats.faults import FaultLog
from fermata.formats.parquet import read_columns


def test_a_file_with_any_one_byte_wrong_is_read_or_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "nodes.parquet"
    columns = {"node": [f"n{number}" for number in range(40)], "cluster": ["a", "b", "c", "a"] * 10}
    parquet.write_table(pa.table(columns), path, compression="none", store_schema=False, write_statistics=False)
    whole, refused = path.read_bytes(), 0
    for at, byte in enumerate(whole):
        path.write_bytes(whole[:at] + bytes([byte ^ 0xFF]) + whole[at + 1 :])
        log = FaultLog(path)
        found = read_columns(path, log)
        assert (found is None) == bool(len(log)), at
        refused += found is None
    assert refused > len(whole) / 2
