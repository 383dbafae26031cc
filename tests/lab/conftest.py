"""One lab at a time: it takes an address range, a bridge and both cores."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.guests import PretendGuests
from tests.lab.hardware import Lab, missing
from tests.lab.stand_in import ProxmoxStandIn

LOCK = Path(tempfile.gettempdir(), "roundsman-lab.lock")


@pytest.fixture
def replica() -> int:
    return 3


@pytest.fixture
def lab(replica: int, tmp_path: Path) -> Iterator[Lab]:
    """Three nodes that are up, with a Proxmox stand-in beside them. Its disks lie on a real file system: bricks need
    extended attributes, which a tmpfs or an overlay does not keep."""
    if why := missing():
        pytest.fail(f"no lab here: {why} (scripts/test --full installs it)")
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever else runs a lab on this machine is waited for
        yield from _lab(replica, tmp_path)


def _lab(replica: int, tmp_path: Path) -> Iterator[Lab]:
    made = Lab(Path("/srv/roundsman-lab"), replica=replica)
    made.down()  # what an earlier run may have left
    stand_in = ProxmoxStandIn(made, tmp_path / "stand-in")
    made.proxmox = stand_in
    try:
        stand_in.start()
        made.up()
        stand_in.follow()
        yield made
    finally:
        stand_in.stop()
        made.down()


@pytest.fixture
def guests(lab: Lab) -> PretendGuests:
    """Two pretend guests that write all the while."""
    pretend = PretendGuests(lab)
    pretend.start()
    return pretend
