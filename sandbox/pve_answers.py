"""What the model cluster says to each method of the PVE API, in the shapes of the real one, lies included.

One short function for each method, in `sandbox.answers`, one file for each thing that is asked about; the `ANSWERS` at
the end of such a file says which function belongs to which method. Booleans are 1 and 0, as Perl prints them. What a
token may not see is left out, as there; what it may not do has been refused before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.answers import backups, ceph, cluster, guests, ha, nodes, replication, storage, tasks
from sandbox.answers.ask import Ask
from sandbox.lines import Acts, Gone
from sandbox.model import Away, Denied, Model
from sandbox.pve_contract import Acl, Method, PveError

ANSWERS: Mapping[str, Callable[[Ask], Any]] = {
    **backups.ANSWERS,
    **ceph.ANSWERS,
    **cluster.ANSWERS,
    **guests.ANSWERS,
    **ha.ANSWERS,
    **nodes.ANSWERS,
    **replication.ANSWERS,
    **storage.ANSWERS,
    **tasks.ANSWERS,
}
"""Every method of the vendored contract has its answer here, and only those."""


class Answers:
    """From a judged request to what stands under `data`; the model's errors become PVE's."""

    def __init__(
        self,
        model: Model,
        clock: Callable[[], float],
        line: Acts,
        acl: Acl,
        user: str,
        fingerprint: Callable[[str], str],
    ) -> None:
        self._model, self._clock, self._line = model, clock, line
        self._acl, self._user, self._fingerprint = acl, user, fingerprint

    def answer(self, node: str, method: Method, values: Mapping[str, Any]) -> Any:
        ask = Ask(self._model, self._clock(), node, values, self._acl, self._user, self._fingerprint)
        if not ask.model.api_answers(ask.now, node):
            raise Gone
        give = ANSWERS[f"{method.verb} {method.path}"]
        try:
            return give(ask) if method.verb == "GET" else self._line.do(*_named(method, values), lambda: give(ask))
        except Denied as no:
            raise _denied(no, values) from None
        except Away as away:
            raise _away(away) from None

    def reach(self, target: str) -> None:
        """Raises what a node answers when it cannot forward a request to the target."""
        if target not in self._model.machines.all:
            raise PveError(500, f"hostname lookup '{target}' failed - failed to get address info for: {target}")
        try:
            self._model.need_api(self._clock(), target)
        except Away as away:
            raise _away(away) from None


def _named(method: Method, values: Mapping[str, Any]) -> tuple[str, str]:
    """An act's verb as `cluster.api` has it, and the guest or node that it is about."""
    word = method.path.rsplit("/", 1)[1]
    if "flag" in values:
        return "ceph_flag", str(values["flag"])
    if word == "schedule_now":
        return "replicate", str(values["id"])
    gone = str(values.get("delete", ""))
    if word == "config" and gone not in ("", "onboot"):
        verb = "unplug" if gone.startswith("net") else "forget" if gone.startswith("unused") else "detach"
    else:
        verb = "delete" if method.verb == "DELETE" else VERBS.get(word, word)
    return verb, str(values.get("vmid", values["node"]))


VERBS = {"config": "set_onboot", "qemu": "restore", "lxc": "restore", "vzdump": "back_up"}
"""Where the API's word is not that of the seam."""


def _denied(no: Denied, values: Mapping[str, Any]) -> PveError:
    if no.status != 400:
        return PveError(no.status, str(no))
    wrong = next(name for name in ("target", "upid", "vmid") if name in values)
    return PveError(400, "Parameter verification failed.", {wrong: str(no)})


def _away(away: Away) -> PveError:
    return PveError(away.status, str(away).removeprefix(f"{away.node}: "))
