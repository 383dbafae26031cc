"""What the node helper's `plan` says of the packages, as a PackagePlan; apt's own trouble becomes a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cluster.api import Refused
from cluster.facts import Package, PackagePlan

INDEX_MAX_AGE_S = 6 * 3600.0  # longer than an approval is valid: the index is not renewed under one


def package_plan(answer: Mapping[str, Any], node: str) -> PackagePlan:
    """Raises Refused with apt's trouble when the plan cannot be known: lock held, repository says 401, dpkg broken."""
    if answer["trouble"]:
        raise Refused(f"{node}: {answer['trouble']}", answer["hint"])
    return PackagePlan(
        checksum=str(answer["checksum"]),
        upgrades=tuple(Package(row["name"], row["old"], row["new"]) for row in answer["upgrades"]),
        removes=tuple(answer["removes"]),
        new_kernel=answer["new_kernel"],
        restarts_gluster=bool(answer["restarts_gluster"]),
    )


def index_is_old(answer: Mapping[str, Any]) -> bool:
    """Whether the node's package lists must be renewed first; so they are if nobody knows how old they are. Lists from
    the future, by a clock that was put back since, may be of any age."""
    age = answer.get("refreshed_s_ago")
    return age is None or not 0 <= age <= INDEX_MAX_AGE_S
