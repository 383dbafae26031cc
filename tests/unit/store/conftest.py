from __future__ import annotations

import pytest

from store.api import Store
from tests.unit.store.rows import RUN


@pytest.fixture
def begun(store: Store) -> Store:
    store.start_run(RUN)
    return store
