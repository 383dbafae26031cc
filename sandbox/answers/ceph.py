"""What the stand-in says of Ceph, or of its absence, in the shape of `ceph status`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.answers.ask import Ask, Row

FLAGS = (
    "nobackfill",
    "nodeep-scrub",
    "nodown",
    "noin",
    "noout",
    "norebalance",
    "norecover",
    "noscrub",
    "notieragent",
    "noup",
    "pause",
)


def status(ask: Ask) -> Row:
    """A node without Ceph answers 500 "binary not installed"."""
    ceph = ask.model.ceph_status(ask.now, ask.target)
    checks = {name: {"severity": "HEALTH_WARN", "summary": {"message": text}} for name, text in ceph.checks.items()}
    monitors = sorted(ceph.monitors)
    return {
        "fsid": "5a4d0b0c-5a4d-4b0c-8a4d-ce9ce9ce9ce9",
        "health": {"status": "HEALTH_WARN" if checks else "HEALTH_OK", "checks": checks, "mutes": []},
        "quorum_names": sorted(ceph.quorum),
        "monmap": {"num_mons": len(monitors), "mons": [{"name": name, "rank": n} for n, name in enumerate(monitors)]},
        "mgrmap": {"available": ceph.managed},
        "osdmap": {"num_osds": ceph.osds, "num_up_osds": ceph.osds_up, "num_in_osds": ceph.osds_in},
        "pgmap": {
            "num_pgs": sum(ceph.pgs.values()),
            "pgs_by_state": [{"state_name": state, "count": count} for state, count in ceph.pgs.items()],
        },
    }


def pools(ask: Ask) -> list[Row]:
    ceph = ask.model.ceph_status(ask.now, ask.target)
    shape = {"type": "replicated", "crush_rule": 0, "crush_rule_name": "replicated_rule"}
    return [
        {
            "pool": number,
            "pool_name": pool.name,
            "size": pool.size,
            "min_size": pool.min_size,
            "pg_num": sum(ceph.pgs.values()),
            **shape,
        }
        for number, pool in enumerate(ceph.pools, start=1)
    ]


def flags(ask: Ask) -> list[Row]:
    ceph = ask.model.ceph_status(ask.now, ask.node)
    return [{"name": flag, "value": int(flag in ceph.flags), "description": flag} for flag in FLAGS]


def set_flag(ask: Ask) -> None:
    ask.model.ceph_status(ask.now, ask.node)
    ask.model.ceph_flag(ask.now, ask.values["flag"], bool(ask.values["value"]), ask.user)


ANSWERS: Mapping[str, Callable[[Ask], Any]] = {
    "GET /nodes/{node}/ceph/status": status,
    "GET /nodes/{node}/ceph/pool": pools,
    "GET /cluster/ceph/flags": flags,
    "PUT /cluster/ceph/flags/{flag}": set_flag,
}
