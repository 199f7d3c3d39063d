"""A lake for every test that asks for one."""

from pathlib import Path

import pytest

from chandlery.stores.parquet import ParquetLake

# The contract is no test module itself, so pytest has to be told to explain its failures.
pytest.register_assert_rewrite("tests.stores.contract")


@pytest.fixture
def lake(tmp_path: Path) -> ParquetLake:
    """A folder in which there is no lake yet."""
    return ParquetLake(tmp_path / "lake")
