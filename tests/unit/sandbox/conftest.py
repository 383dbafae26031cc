"""The usual cluster, and an evening on it."""

from __future__ import annotations

import pytest

from sandbox.spec import ClusterSpec
from tests.unit.sandbox.evening import Evening


@pytest.fixture
def spec() -> ClusterSpec:
    return ClusterSpec.from_dict({})


@pytest.fixture
def evening(spec: ClusterSpec) -> Evening:
    return Evening(spec)
