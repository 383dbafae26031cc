"""What the stand-in says of high availability."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cluster.facts import HaRule
from sandbox.answers.ask import Ask, Row
from sandbox.model.guests import Vm


def ha_current(ask: Ask) -> list[Row]:
    ha, now = ask.model.ha(ask.now), int(ask.now)
    quorate = ask.model.membership(ask.now).quorate
    armed = "armed" if ha.armed else "disarmed"
    return [
        {
            "id": "quorum",
            "type": "quorum",
            "node": ask.node,
            "quorate": int(quorate),
            "status": "OK" if quorate else "",
        },
        {"id": "master", "type": "master", "node": ha.manager, "status": f"{ha.manager} (active)", "timestamp": now},
        {"id": "fencing", "type": "fencing", "node": ha.manager, "status": armed, "armed-state": armed},
        *(_lrm_row(name, mode, now) for name, mode in ha.modes.items()),
        *(_service_row(vm) for vm in ask.model.guests.all.values() if vm.ha),
    ]


def _lrm_row(name: str, mode: str, now: int) -> Row:
    word = "maintenance mode" if mode == "maintenance" else mode
    return {"id": f"lrm:{name}", "type": "lrm", "node": name, "status": f"{name} ({word})", "timestamp": now}


def _service_row(vm: Vm) -> Row:
    return {
        "id": f"service:{sid(vm)}",
        "type": "service",
        "sid": sid(vm),
        "node": vm.node,
        "state": vm.ha,
        "crm_state": vm.ha,
        "request_state": vm.wanted,
        "status": f"{vm.node} ({vm.ha})",
    }


def sid(vm: Vm) -> str:
    return f"{'ct' if vm.spec.kind == 'lxc' else 'vm'}:{vm.id}"


def manager_status(ask: Ask) -> Row:
    """`node_status` keeps its last word for a node that is off; `quorate` is a string, "1" or ""."""
    ha, modes = ask.model.ha(ask.now), ask.model.ha_manager.modes
    states = {n: "maintenance" if mode.reached else "online" for n, mode in modes.items()}
    services = {sid(vm): {"node": vm.node, "state": vm.ha} for vm in ask.model.guests.all.values() if vm.ha}
    return {
        "manager_status": {
            "master_node": ha.manager,
            "timestamp": int(ask.now),
            "node_status": states,
            "node_request": {n: {"maintenance": 1} if n in ha.maintenance else {} for n in modes},
            "service_status": services,
        },
        "lrm_status": {n: {"mode": mode, "state": "active", "timestamp": int(ask.now)} for n, mode in ha.modes.items()},
        "quorum": {"node": ask.node, "quorate": "1" if ask.model.membership(ask.now).quorate else ""},
    }


def ha_resources(ask: Ask) -> list[Row]:
    return [{"sid": sid(vm), "type": sid(vm)[:2]} for vm in ask.model.guests.all.values() if vm.ha]


def rules(ask: Ask) -> list[Row]:
    """Lists are text; a rule that is on has no `disable`."""
    return [_rule(rule) for rule in ask.model.rules(ask.now) if ask.values.get("type") in (None, rule.kind)]


def _rule(rule: HaRule) -> Row:
    row = {"rule": rule.name, "type": rule.kind, "resources": ",".join(sorted(rule.resources))}
    if rule.apart:
        return row | {"affinity": "negative"}
    return row | {"nodes": ",".join(sorted(rule.nodes)), "strict": int(rule.strict)}


ANSWERS: Mapping[str, Callable[[Ask], Any]] = {
    "GET /cluster/ha/status/current": ha_current,
    "GET /cluster/ha/status/manager_status": manager_status,
    "GET /cluster/ha/resources": ha_resources,
    "GET /cluster/ha/rules": rules,
}
