"""QuestDB, beyond what every store must do."""

from pathlib import Path

import pytest

from chandlery.stores.questdb import QuestDBStore
from chandlery.stores.questdb_address import parse_address
from tests.stores.contract import StoreContract


class TestQuestDB(StoreContract):
    @pytest.fixture
    def store(self) -> QuestDBStore:
        s = QuestDBStore(parse_address("questdb://chandlery:secret@127.0.0.1:19000/x1", Path("/")))
        s._run("drop table if exists x1")
        s._run("drop table if exists x1_store")
        return s
