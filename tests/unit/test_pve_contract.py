"""The judge of every request that reaches the PVE stand-in speaks PVE's own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sandbox.pve_answers import ANSWERS
from sandbox.pve_contract import CONTRACT, UNKNOWN, Acl, Contract, PveError, answer_errors


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract()


def refusal(contract: Contract, verb: str, path: str, given: Mapping[str, str]) -> PveError:
    with pytest.raises(PveError) as caught:
        request(contract, verb, path, given)
    return caught.value


def request(contract: Contract, verb: str, path: str, given: Mapping[str, str]) -> dict[str, Any]:
    method, named = contract.find(verb, path)
    return method.checked({**named, **given})


def migration_refused(contract: Contract, **given: str) -> Mapping[str, str]:
    return refusal(contract, "POST", "/nodes/pve1/qemu/101/migrate", {"target": "pve2", **given}).errors


def test_a_path_is_split_into_its_parameters(contract: Contract) -> None:
    method, named = contract.find("POST", "/nodes/pve1/qemu/101/migrate")
    values = method.checked({**named, "target": "pve2", "online": "1"})
    assert values == {"node": "pve1", "vmid": 101, "target": "pve2", "online": True}
    assert method.proxy == "node"


def test_what_does_not_exist_is_501_and_never_404(contract: Contract) -> None:
    error = refusal(contract, "GET", "/nodes/pve1/scan/glusterfs", {})
    assert (error.status, error.message) == (501, "Method 'GET /nodes/pve1/scan/glusterfs' not implemented")


def test_pythons_true_is_no_boolean(contract: Contract) -> None:
    assert migration_refused(contract, online="True") == {"online": "type check ('boolean') failed - got 'True'"}


def test_every_wrong_parameter_is_named(contract: Contract) -> None:
    errors = migration_refused(contract, onlime="1", bwlimit="fast", target="pve/2", migration_type="pigeon")
    assert errors == {
        "onlime": UNKNOWN,
        "bwlimit": "type check ('integer') failed - got 'fast'",
        "target": "value does not look like a valid node name",
        "migration_type": "value 'pigeon' does not have a value in the enumeration 'secure, insecure'",
    }


def test_a_missing_parameter_is_named(contract: Contract) -> None:
    error = refusal(contract, "POST", "/nodes/pve1/qemu/101/migrate", {})
    assert (error.status, error.message) == (400, "Parameter verification failed.")
    assert error.errors == {"target": "property is missing and it is not optional"}


def test_numbers_have_their_bounds(contract: Contract) -> None:
    error = refusal(contract, "GET", "/nodes/pve1/qemu/7/config", {})
    assert error.errors == {"vmid": "value must have a minimum value of 100"}


def denied(acl: Acl, contract: Contract, verb: str, path: str) -> str:
    method, named = contract.find(verb, path)
    with pytest.raises(PveError) as caught:
        acl.require(method.permissions.get("check"), named)
    assert caught.value.status == 403
    return caught.value.message


def test_the_bots_role_may_migrate_but_not_reboot_over_the_api(contract: Contract) -> None:
    acl = Acl()
    method, named = contract.find("POST", "/nodes/pve1/qemu/101/migrate")
    acl.require(method.permissions["check"], named)
    assert denied(acl, contract, "POST", "/nodes/pve1/status") == (
        "Permission check failed (/nodes/pve1, Sys.PowerMgmt)"
    )


def test_a_privilege_that_was_taken_away_is_named_with_its_path(contract: Contract) -> None:
    acl = Acl()
    acl.take("VM.Migrate")
    message = denied(acl, contract, "POST", "/nodes/pve1/qemu/101/migrate")
    assert message == "Permission check failed (/vms/101, VM.Migrate)"


def test_one_of_several_privileges_is_enough_where_pve_says_so(contract: Contract) -> None:
    acl = Acl()
    method, named = contract.find("PUT", "/nodes/pve1/qemu/101/config")
    acl.require(method.permissions["check"], named)
    for privilege in ("VM.Config.Options", "VM.Config.Disk", "VM.Config.Network"):
        acl.take(privilege)
    assert denied(acl, contract, "PUT", "/nodes/pve1/qemu/101/config").startswith(
        "Permission check failed (/vms/101, VM.Config.Disk|VM.Config.CDROM|"
    )


def test_a_deeper_entry_replaces_what_is_inherited() -> None:
    acl = Acl({"/": frozenset({"Sys.Audit"}), "/nodes": frozenset({"Sys.Modify"})})
    assert acl.at("/cluster") == {"Sys.Audit"}
    assert acl.at("/nodes/pve1") == {"Sys.Modify"}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"status": "running"}, "data.upid is missing"),
        ({"status": "asleep"}, "data.status is 'asleep', not ['running', 'stopped']"),
        ({"status": "running", "pid": "12"}, "data.pid is '12', not integer"),
    ],
)
def test_the_stand_ins_own_answers_are_judged_too(contract: Contract, answer: dict[str, Any], why: str) -> None:
    method, _ = contract.find("GET", "/nodes/pve1/tasks/UPID:pve1/status")
    assert why in answer_errors(method.returns, answer)


def test_the_vendored_file_stays_small() -> None:
    assert CONTRACT.stat().st_size < 200_000


def test_every_method_of_the_file_has_an_answer_and_only_those(contract: Contract) -> None:
    assert {f"{method.verb} {method.path}" for method in contract.methods} == set(ANSWERS)
