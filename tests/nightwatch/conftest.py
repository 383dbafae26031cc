"""Every page has to be expected: one that no test asked for fails it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.nightwatch import NightWatch


@pytest.fixture
def watch() -> Iterator[NightWatch]:
    watch = NightWatch()
    yield watch
    watch.assert_quiet()
