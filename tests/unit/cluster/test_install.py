"""Installing the node helper: what reaches the node, in which order, and that the scripts do what they say."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import paramiko
import pytest

from cluster import install
from cluster.api import Refused
from cluster.login import public_key
from cluster.settings import ClusterSettings, NodeSettings, SshSettings
from cluster.ssh import Done
from tests.unit.cluster.fakes import settings


class Node:
    """Stands for SshNode: remembers what was run, and by whom; fails where a test wants it."""

    ran: list[tuple[str, list[str], bytes]]
    fails: str
    status: dict[str, object]

    def __init__(self, name: str, node: NodeSettings, login: SshSettings) -> None:
        self.name, self._user = name, login.user

    def run(
        self, argv: Sequence[str], timeout: float, limit_bytes: int = 0, stdin: bytes = b"", *, twice: bool = False
    ) -> Done:
        self.ran.append((self._user, list(argv), stdin))
        if argv[-1] == "status":
            return Done(0, json.dumps(self.status).encode(), b"")
        if self.fails and self.fails in " ".join(argv):
            return Done(1, b"", b"E: Unable to locate package sudo\n")
        return Done(0, b"", b"")

    def close(self) -> None:
        self.ran.append((self._user, ["closed"], b""))


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> type[Node]:
    status = {
        "node": "pve1",
        "checksum": install.helper_checksum(),
        "boot_id": "b",
        "uptime": 1.0,
        "clock": 1.0,
        "kernel": "k",
        "boot_kernel": "k",
        "services": {},
        "corosync_version": 1,
        "dpkg_broken": "",
        "apt_busy": "",
        "gluster_mounts": [],
    }
    fresh = type("Fresh", (Node,), {"ran": [], "fails": "", "status": status})
    monkeypatch.setattr(install, "SshNode", fresh)
    return fresh


@pytest.fixture
def written(tmp_path: Path) -> ClusterSettings:
    key = tmp_path / "bot_key"
    paramiko.ECDSAKey.generate().write_private_key_file(str(key))
    return settings(ssh=SshSettings(key_file=str(key)))


def installed(written: ClusterSettings, user: str = "root") -> str:
    return install.install(written, "pve1", user, Path("/home/alice/.ssh/id_ed25519"))


def test_the_admin_installs_and_then_the_bot_tries_it_itself(node: type[Node], written: ClusterSettings) -> None:
    assert installed(written) == f"the helper is installed ({install.helper_checksum()[:12]}) and answers to roundsman"
    scripts = [argv[2] for _, argv, _ in node.ran if argv[0] == "sh"]
    assert scripts == [install.NEED_SUDO, install.NEED_LOGIN, install.PUT, install.PUT_SUDOERS, install.PUT_KEY]
    assert [user for user, _, _ in node.ran] == ["root"] * 6 + ["roundsman"] * 2


def test_the_helper_arrives_byte_for_byte(node: type[Node], written: ClusterSettings) -> None:
    installed(written)
    sent = next(stdin for _, argv, stdin in node.ran if install.HELPER in argv)
    assert sent == (Path(__file__).parents[3] / "deploy" / "roundsman-helper").read_bytes()


def test_the_bot_s_key_is_good_for_the_helper_only(node: type[Node], written: ClusterSettings) -> None:
    installed(written)
    sent = next(stdin for _, argv, stdin in node.ran if install.PUT_KEY in argv).decode()
    key = public_key(written.ssh.key_file)
    assert sent == f'restrict,command="sudo -n /usr/local/sbin/roundsman-helper" {key} roundsman\n'


def test_an_admin_who_is_not_root_goes_through_sudo(node: type[Node], written: ClusterSettings) -> None:
    installed(written, user="alice")
    assert all(argv[:3] == ["sudo", "-n", "sh"] for user, argv, _ in node.ran if user == "alice" and argv != ["closed"])


def test_a_step_that_fails_ends_it_and_says_why(node: type[Node], written: ClusterSettings) -> None:
    node.fails = "command -v sudo"
    with pytest.raises(Refused, match="pve1: installing sudo failed: E: Unable to locate package sudo"):
        installed(written)
    assert [argv[0] for _, argv, _ in node.ran] == ["sh", "closed"]


def test_a_file_that_is_not_the_one_installed_is_not_called_installed(
    node: type[Node], written: ClusterSettings
) -> None:
    node.status["checksum"] = "f" * 64
    with pytest.raises(Refused, match="is another file than the one just installed"):
        installed(written)


def test_root_is_no_login_for_the_bot(node: type[Node], written: ClusterSettings) -> None:
    as_root = written.model_copy(update={"ssh": written.ssh.model_copy(update={"user": "root"})})
    with pytest.raises(Refused, match="the bot should not log in as root"):
        installed(as_root)
    assert node.ran == []


def test_the_sudoers_file_names_the_login_of_the_settings() -> None:
    assert b"\ncarol ALL=(root) NOPASSWD: /usr/local/sbin/roundsman-helper\n" in install.sudoers("carol")
    assert b"roundsman ALL" not in install.sudoers("carol")


def test_the_lines_by_hand_name_every_node_and_the_checksum(written: ClusterSettings) -> None:
    lines = install.by_hand(written)
    for name in written.nodes:
        assert f"root@{name}.example:/usr/local/sbin/roundsman-helper" in lines
    assert f"sha256sum /usr/local/sbin/roundsman-helper   # {install.helper_checksum()}" in lines
    assert 'restrict,command="sudo -n /usr/local/sbin/roundsman-helper"' in lines
    assert lines.index("apt-get install") < lines.index("scp "), "without sudo there is no /etc/sudoers.d"
    assert subprocess.run(["sh", "-n"], input=lines, text=True, check=False).returncode == 0


def test_the_lines_by_hand_are_good_for_an_ipv6_address(written: ClusterSettings) -> None:
    pve1 = written.nodes["pve1"].model_copy(update={"address": "2001:db8::11"})
    lines = install.by_hand(written.model_copy(update={"nodes": {"pve1": pve1}}))
    assert "root@[2001:db8::11]:/usr/local/sbin/roundsman-helper" in lines


# ---- the scripts, run by a real shell with harmless stand-ins ------------------------------------------------------


@pytest.fixture
def stand_ins(tmp_path: Path) -> dict[str, str]:
    """chown does nothing, getent knows one home, visudo says yes unless the file says "bad"."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {
        "chown": "exit 0",
        "getent": f'echo "$2:x:1:1::{tmp_path}/home:/bin/sh"',
        "visudo": '! grep -q bad "$2"',
        "runuser": 'test "$1 $2 $3" = "-u roundsman --" && shift 3 && exec "$@"',
    }
    for name, body in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def ran(env: dict[str, str], script: str, *args: str, stdin: str = "") -> int:
    argv = ["sh", "-c", script, "install", *args]
    return subprocess.run(argv, input=stdin, text=True, env=env, check=False, capture_output=True).returncode


def put(env: dict[str, str], script: str, target: Path, mode: str, content: str, came: int | None = None) -> int:
    """As `install` does it; of the content the first `came` characters arrive."""
    checksum = hashlib.sha256(content.encode()).hexdigest()
    return ran(env, script, str(target), mode, checksum, stdin=content[:came])


def test_a_file_is_put_whole_and_with_its_mode(stand_ins: dict[str, str], tmp_path: Path) -> None:
    target = tmp_path / "helper with a space"
    assert put(stand_ins, install.PUT, target, "0755", "new") == 0
    assert (target.read_text(), oct(target.stat().st_mode)[-3:]) == ("new", "755")
    assert not Path(f"{target}.new").exists()


@pytest.mark.parametrize("script", [install.PUT, install.PUT_SUDOERS])
def test_what_a_broken_line_cut_off_leaves_the_old_one(stand_ins: dict[str, str], tmp_path: Path, script: str) -> None:
    """sshd closes the input of what it runs when the line dies: to `cat` that is the end of the file."""
    target = tmp_path / "roundsman"
    target.write_text("old")
    assert put(stand_ins, script, target, "0755", "new and whole", came=3) == 1
    assert target.read_text() == "old"


def test_a_bad_sudoers_file_leaves_the_old_one(stand_ins: dict[str, str], tmp_path: Path) -> None:
    target = tmp_path / "roundsman"
    target.write_text("good")
    assert put(stand_ins, install.PUT_SUDOERS, target, "0440", "bad") == 1
    assert (target.read_text(), Path(f"{target}.new").exists()) == ("good", False)


def test_a_good_sudoers_file_is_put_for_root_alone_to_read(stand_ins: dict[str, str], tmp_path: Path) -> None:
    target = tmp_path / "roundsman"
    assert put(stand_ins, install.PUT_SUDOERS, target, "0440", "fine") == 0
    assert (target.read_text(), oct(target.stat().st_mode)[-3:]) == ("fine", "440")


def test_root_itself_writes_nothing_into_the_folder_of_the_login(stand_ins: dict[str, str], tmp_path: Path) -> None:
    """A link there would let the login have any file of the node overwritten, the next time somebody installs."""
    (tmp_path / "shadow").write_text("root's own")
    folder = tmp_path / "home" / ".ssh"
    folder.mkdir(parents=True)
    (folder / "authorized_keys.new").symlink_to(tmp_path / "shadow")
    (tmp_path / "bin" / "runuser").write_text("#!/bin/sh\nexit 9\n")
    assert ran(stand_ins, install.PUT_KEY, "roundsman", "BOT=", stdin="ssh-ed25519 BOT= roundsman\n") == 9
    assert (tmp_path / "shadow").read_text() == "root's own"


def test_the_key_is_there_once_however_often_it_is_installed(stand_ins: dict[str, str], tmp_path: Path) -> None:
    keys = tmp_path / "home" / ".ssh" / "authorized_keys"
    keys.parent.mkdir(parents=True)
    keys.write_text("ssh-ed25519 CAROL carol\nssh-ed25519 BOT= old line\n")
    for _ in range(2):
        assert ran(stand_ins, install.PUT_KEY, "roundsman", "BOT=", stdin="restrict ssh-ed25519 BOT= roundsman\n") == 0
    assert keys.read_text() == "ssh-ed25519 CAROL carol\nrestrict ssh-ed25519 BOT= roundsman\n"
    assert oct(keys.stat().st_mode)[-3:] == "600"


def test_the_first_key_of_a_login_makes_its_folder(stand_ins: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    assert ran(stand_ins, install.PUT_KEY, "roundsman", "BOT=", stdin="ssh-ed25519 BOT= roundsman\n") == 0
    assert (tmp_path / "home" / ".ssh" / "authorized_keys").read_text() == "ssh-ed25519 BOT= roundsman\n"
