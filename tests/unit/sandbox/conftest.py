"""The usual cluster, and an evening on it."""

from __future__ import annotations

import pytest
from evening import Evening

from sandbox.spec import ClusterSpec


@pytest.fixture
def spec() -> ClusterSpec:
    return ClusterSpec.from_dict({})


@pytest.fixture
def evening(spec: ClusterSpec) -> Evening:
    return Evening(spec)
