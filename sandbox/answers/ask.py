"""One request to the stand-in, and what its answers are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.model import Denied, Model
from sandbox.model.guests import Vm
from sandbox.pve_contract import Acl, PveError

GIB = 1 << 30

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, judged already. `node`: who was asked; `values`: its typed parameters."""

    model: Model
    now: float
    node: str
    values: Mapping[str, Any]
    acl: Acl
    user: str
    fingerprint: Callable[[str], str]

    @property
    def target(self) -> str:
        """The node that the path names."""
        return str(self.values["node"])

    def may(self, path: str, *privileges: str) -> bool:
        """Has the token one of these there?"""
        return not self.acl.at(path).isdisjoint(privileges)

    def need(self, path: str, privilege: str) -> None:
        """What the method checks in its own code. Raises 403 in PVE's words."""
        if not self.may(path, privilege):
            raise PveError(403, f"Permission check failed ({path}, {privilege})")

    def vm(self) -> Vm:
        """The guest of the path, if it lives on the node of the path."""
        vm = self.model.guests.all.get(self.values["vmid"])
        if vm is None or vm.node != self.target:
            raise Denied(f"Configuration file 'nodes/{self.target}/{self.values['vmid']}.conf' does not exist")
        return vm
