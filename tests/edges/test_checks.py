"""`roundsman check` of a cluster on real ports: all is well, then one thing after the other is missing."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import asyncssh
import pytest

from cluster.checks import CheckLine, check_cluster
from cluster.install import helper_checksum
from cluster.pve import Pve
from cluster.settings import BackupSettings, ClusterSettings, PathSettings
from sandbox import ssh_server
from sandbox.lines import Fault
from sandbox.spec import ClusterSpec, ReplicaSpec, default_spec
from tests.edges.facing import Night


@pytest.fixture
def night(start_night: Callable[[ClusterSpec], Night]) -> Night:
    return start_night(replace(default_spec(), helper_checksum=helper_checksum()))


def lines(settings: ClusterSettings) -> dict[str, CheckLine]:
    return {line.subject: line for line in check_cluster(settings)}


def missing(settings: ClusterSettings) -> dict[str, CheckLine]:
    return {subject: line for subject, line in lines(settings).items() if not line.ok}


def with_node(settings: ClusterSettings, name: str, **changes: str) -> ClusterSettings:
    node = settings.nodes[name].model_copy(update=changes)
    return settings.model_copy(update={"nodes": {**settings.nodes, name: node}})


def test_when_all_is_there_every_line_is_good_and_says_what_was_found(night: Night) -> None:
    found = lines(night.settings)
    assert all(line.ok for line in found.values()), found
    assert list(found) == [
        "pve1 API",
        "pve2 API",
        "pve3 API",
        "token on /",
        "token on /nodes",
        "token on /vms",
        "token on /storage",
        "members",
        "guests named",
        *("pve1 helper", "pve1 quorum", "pve1 Gluster", "volumes named"),
        *(f"{node} {what}" for node in ("pve2", "pve3") for what in ("helper", "quorum", "Gluster")),
        "path direct",
        "path lte",
        "paths",
    ]
    assert re.fullmatch(r"answers at 3 of 3 nodes, slowest \d+\.\d\d s", found["path lte"].text)
    assert found["paths"].text == "2 ways that share nothing lead to pve1; 2 are needed"
    assert found["pve1 API"].text == "Proxmox VE 9.2.11"
    assert found["pve2 quorum"].text == "2 of 3 votes needed"
    assert found["pve3 Gluster"].text == "3 peers, all connected"


def test_a_missing_privilege_comes_with_what_for_and_the_line_that_grants_it(night: Night) -> None:
    night.faces.acl.take("VM.Config.Options")
    assert missing(night.settings) == {
        "token on /vms": CheckLine(
            False,
            "token on /vms",
            "roundsman@pve!bot lacks VM.Config.Options: switching onboot off while a guest must not start",
            "`pveum role modify Roundsman --append 1 --privs VM.Config.Options` and "
            "`pveum acl modify /vms --roles Roundsman --users 'roundsman@pve' --tokens 'roundsman@pve!bot'`",
        )
    }


def test_privileges_for_backups_are_asked_for_only_where_guests_must_have_one(night: Night) -> None:
    night.faces.acl.take("VM.Backup")
    night.faces.acl.take("Datastore.AllocateSpace")
    without = night.settings.model_copy(update={"groups": (), "backups": BackupSettings()})
    assert missing(without) == {}
    critical = without.model_copy(update={"backups": BackupSettings(critical=(101,))})
    assert {subject: line.text for subject, line in missing(critical).items()} == {
        "token on /vms": "roundsman@pve!bot lacks VM.Backup: seeing backups",
        "token on /storage": "roundsman@pve!bot lacks Datastore.AllocateSpace: seeing backups",
    }


def test_privileges_for_restores_are_asked_for_unless_the_settings_say_that_none_is_wanted(night: Night) -> None:
    night.faces.acl.take("VM.Config.Disk")
    told = "roundsman@pve!bot lacks VM.Config.Disk: setting a guest's disks aside before it is restored"
    assert {subject: line.text for subject, line in missing(night.settings).items()} == {"token on /vms": told}
    none = night.settings.model_copy(update={"backups": BackupSettings(restores=False)})
    assert missing(none) == {}


def test_a_release_before_9_is_asked_for_the_privileges_that_it_knows(
    start_night: Callable[[ClusterSpec], Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(default_spec(), helper_checksum=helper_checksum(), replicas=(ReplicaSpec(101, "pve2"),))
    night = start_night(spec)
    monkeypatch.setattr(Pve, "version", lambda *_: "8.4.14")
    night.faces.acl.take("VM.GuestAgent.Audit")
    night.faces.acl.take("VM.Replicate")
    found = missing(night.settings)
    assert {subject: line.text for subject, line in found.items()} == {
        "token on /vms": "roundsman@pve!bot lacks VM.Monitor: hearing whether a restored guest answers",
        "token on /storage": "roundsman@pve!bot lacks Datastore.Allocate: running ZFS replication at once",
    }
    night.faces.acl.give("/vms", "VM.Monitor")
    night.faces.acl.give("/storage", "Datastore.Allocate")
    assert missing(night.settings) == {}


def test_what_is_missing_on_the_root_goes_into_the_role_that_is_given_there(night: Night) -> None:
    night.faces.acl.take("Sys.Audit")
    remedy = missing(night.settings)["token on /"].remedy
    assert remedy.startswith("`pveum role modify RoundsmanLook --append 1 --privs Sys.Audit`")
    assert "pveum acl modify / --roles RoundsmanLook " in remedy


def test_a_dead_node_is_missing_everywhere_and_hides_nobody_else(night: Night) -> None:
    night.power_cut("pve2")
    night.pass_time(60)
    found = missing(night.settings)
    assert list(found) == ["pve2 API", "pve1 Gluster", "pve2 helper", "pve3 Gluster"]
    assert found["pve1 Gluster"].text == "peers that are away: pve2"


def test_a_wrong_host_key_is_told_with_what_to_do(night: Night) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    found = missing(with_node(night.settings, "pve2", host_key=other))
    assert list(found) == ["pve2 helper"]
    assert "shows the SSH host key SHA256:" in found["pve2 helper"].text
    assert "set nodes.pve2.host_key to" in found["pve2 helper"].remedy


def test_a_certificate_that_nobody_vouches_for_is_told_with_what_to_do(night: Night) -> None:
    no_ca = night.settings.model_copy(update={"api": night.settings.api.model_copy(update={"ca_file": ""})})
    found = missing(no_ca)
    assert list(found) == ["pve1 API", "pve2 API", "pve3 API", "paths"]
    assert "is not trusted" in found["pve1 API"].text
    assert "api.ca_file" in found["pve1 API"].remedy


def test_a_missing_helper_comes_with_the_command_that_installs_it(night: Night) -> None:
    night.faces.faults.plan(Fault.MISSING, node="pve3", what="status")
    assert missing(night.settings) == {
        "pve3 helper": CheckLine(
            False,
            "pve3 helper",
            "pve3: the node helper is not installed",
            "run `roundsman install-helper lab --node pve3 --admin-key FILE`",
        )
    }


def test_a_key_that_opens_a_shell_is_told_with_the_command_that_restricts_it(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [subject for subject in lines(night.settings) if subject.endswith("key")]
    monkeypatch.setattr(ssh_server, "_not_allowed", lambda words: ssh_server.Reply())
    line = lines(night.settings)["pve2 key"]
    assert (line.ok, line.careful) == (True, True)
    assert line.text == "good for a shell as well: it has no forced command in authorized_keys"
    assert line.remedy == "run `roundsman install-helper lab --node pve2 --admin-key FILE`"


def test_an_altered_helper_is_seen_by_its_checksum(start_night: Callable[[ClusterSpec], Night]) -> None:
    found = missing(start_night(replace(default_spec(), helper_checksum="altered")).settings)
    assert found["pve1 helper"].text == "another version (altered), or altered"
    assert "install-helper" in found["pve1 helper"].remedy


def test_two_addresses_swapped_are_noticed(night: Night) -> None:
    nodes = night.settings.nodes
    swapped = {"pve1": nodes["pve2"], "pve2": nodes["pve1"], "pve3": nodes["pve3"]}
    found = missing(night.settings.model_copy(update={"nodes": swapped}))
    assert found["pve1 helper"].text == "pve1: who answers at its address calls itself pve2"
    assert found["pve1 helper"].remedy == "nodes.pve1.address in the settings leads to another machine"


def test_a_member_that_is_not_in_the_settings_is_named(night: Night) -> None:
    two = {name: node for name, node in night.settings.nodes.items() if name != "pve3"}
    found = missing(night.settings.model_copy(update={"nodes": two}))
    assert found == {"members": CheckLine(False, "members", "not in the settings: pve3", "add them to lab.nodes")}


def test_what_dies_with_the_routers_is_said(night: Night) -> None:
    said = [line.text for line in check_cluster(night.settings) if line.subject == "paths"]
    assert said[0] == (
        "direct goes through router-a and router-b, which are guests of this cluster; only lte stays when they die"
    )


def test_a_jump_host_with_another_key_is_told_with_what_to_write(night: Night) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    direct, lte = night.settings.paths
    jump = lte.jumps[0].model_copy(update={"host_key": other})
    paths = (direct, lte.model_copy(update={"jumps": (jump,)}))
    found = missing(night.settings.model_copy(update={"paths": paths}))
    assert "the jump host 127.0.0.1 (127.0.0.1) shows the SSH host key" in found["path lte"].text
    assert "set paths.lte.jumps[0].host_key to" in found["path lte"].remedy
    assert found["paths"].text == "1 way leads to pve1; 2 are needed"
    assert found["paths"].remedy == "mend lte, see above; or set paths_required: 1 if that must do"


def test_without_a_second_path_it_says_what_to_add(night: Night) -> None:
    found = missing(night.settings.model_copy(update={"paths": ()}))
    assert found["paths"] == CheckLine(
        False,
        "paths",
        "1 way leads to pve1; 2 are needed",
        "add another way in to `paths`, over another line; or set paths_required: 1 if that must do",
    )


def test_two_paths_that_both_die_with_the_cluster_are_not_enough(night: Night) -> None:
    direct, lte = night.settings.paths
    both = (direct, lte.model_copy(update={"guests": (103,)}))
    found = missing(night.settings.model_copy(update={"paths": both}))
    assert found["paths"].text == "every one to pve1 goes through this very cluster, and dies with it"


def test_a_jump_host_that_refuses_is_told_with_the_line_that_shows_the_same(night: Night) -> None:
    direct, lte = night.settings.paths
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, and nobody listens
        port = nobody.getsockname()[1]
        jump = lte.jumps[0].model_copy(update={"port": port})
        line = missing(with_paths(night, direct, lte.model_copy(update={"jumps": (jump,)})))["path lte"]
    assert line.text == (
        "answers at 0 of 3 nodes; pve1: path lte: the jump host 127.0.0.1 does not answer over SSH "
        f"(127.0.0.1:{port}): Connection refused"
    )
    assert line.remedy.startswith(f"`ssh -p {port} -i {night.settings.ssh.key_file} {jump.user}@127.0.0.1` from here; ")


def test_where_no_node_is_reached_no_path_is_called_good(night: Night) -> None:
    key = night.settings.ssh.model_copy(update={"user": "nobody"})
    found = lines(night.settings.model_copy(update={"ssh": key}))
    assert [name for name in found if name.startswith("path ")] == []
    assert found["paths"] == CheckLine(
        False,
        "paths",
        "none could be judged: over none of them a node answers both SSH and API",
        "mend what is said above first",
    )


def test_a_guest_of_a_path_that_is_not_there_is_a_fault_only_where_the_guests_are_known(night: Night) -> None:
    direct, lte = night.settings.paths
    written = with_paths(night, direct, lte.model_copy(update={"guests": (999,)}))
    said = [line for line in check_cluster(written) if line.subject == "paths" and not line.ok]
    assert said[0].text == "lte is said to go through guest 999, which this cluster does not have"
    assert said[0].remedy == "correct `guests` of the path lte"
    night.faces.acl.take("VM.Audit")
    said = [line for line in check_cluster(written) if "guest" in line.text and line.subject == "paths"]
    assert [line.text for line in said if "999" in line.text] == []


def test_two_paths_over_one_box_are_said_to_be_one(night: Night) -> None:
    direct, lte = night.settings.paths
    written = with_paths(night, direct, lte, lte.model_copy(update={"name": "night"}))
    said = [line.text for line in check_cluster(written) if line.subject == "paths"]
    assert "lte and night go through the same host 127.0.0.1; they count as one" in said


def with_paths(night: Night, *paths: PathSettings) -> ClusterSettings:
    return night.settings.model_copy(update={"paths": paths})


def test_what_the_settings_name_and_the_cluster_does_not_have_is_told(night: Night) -> None:
    """A group with a mistyped member guards one router less, and a backup to a mistyped storage fails in the night."""
    settings = night.settings
    group = settings.groups[0].model_copy(update={"guests": (101, 1022)})
    wrong = settings.model_copy(
        update={
            "groups": (group,),
            "backups": BackupSettings(critical=(103,), storage="pbs", on_gluster=("vmstore",)),
            "gluster": settings.gluster.model_copy(update={"volumes": ("vmstor",)}),
        }
    )
    found = missing(wrong)
    assert {name: (line.text, line.remedy) for name, line in found.items() if name.endswith("named")} == {
        "guests named": (
            "the group routers names guest 1022, which this cluster does not have",
            "correct groups[].guests; `pvesh get /cluster/resources --type vm` on a node lists all",
        ),
        "storages named": ("there is no storage pbs; there are backup, local, vmstore", "correct backups.storage"),
        "volumes named": ("there is no volume vmstor; there are vmstore", "correct gluster.volumes"),
    }


def test_a_token_that_is_shown_no_guest_proves_no_name_wrong(night: Night) -> None:
    night.faces.acl.take("VM.Audit")
    found = missing(night.settings)
    assert "guests named" not in found
    assert "VM.Audit" in found["token on /vms"].text
