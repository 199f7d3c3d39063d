"""The contract is no test module itself, so pytest has to be told to explain its failures."""

import pytest

pytest.register_assert_rewrite("tests.stores.contract")
