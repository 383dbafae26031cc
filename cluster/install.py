"""Putting the node helper on a node: with the admin's own key, used once, or by hand with the lines printed here."""

from __future__ import annotations

import hashlib
import shlex
from importlib.resources import files
from pathlib import Path

from cluster.api import Refused
from cluster.helper import Helper
from cluster.login import public_key
from cluster.settings import ClusterSettings
from cluster.ssh import SshNode

HELPER = "/usr/local/sbin/roundsman-helper"
SUDOERS = "/etc/sudoers.d/roundsman"
STEP_S = 300.0  # installing sudo from a slow mirror

# What comes over the line goes into arguments, never into these texts.
NEED_SUDO = (
    "command -v sudo >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get -y install --no-install-recommends sudo"
)
# Without the "*" the login counts as locked, and an sshd without PAM lets no locked login in.
NEED_LOGIN = """id "$1" >/dev/null 2>&1 || useradd --system --create-home --shell /bin/sh --password '*' "$1\""""
# A line that breaks looks like the end of the file: only what has this checksum came whole.
_WHOLE = 'umask 077; cat >"$1.new" && echo "$3  $1.new" | sha256sum --check --quiet && '
_RIGHT = '{ visudo -cqf "$1.new" || { rm -f "$1.new"; exit 1; }; } && '
_THERE = 'chown root:root "$1.new" && chmod "$2" "$1.new" && mv -f "$1.new" "$1"'
PUT = _WHOLE + _THERE
PUT_SUDOERS = _WHOLE + _RIGHT + _THERE
# As the login itself: root would follow whatever links lie in a folder that is the login's own.
PUT_KEY = """home=$(getent passwd "$1" | cut -d: -f6)
exec runuser -u "$1" -- sh -c '
set -e; umask 077; mkdir -p "$1/.ssh"; cd "$1/.ssh"
{ grep -vF "$2" authorized_keys 2>/dev/null || true; cat; } >authorized_keys.new
mv -f authorized_keys.new authorized_keys
' install "$home" "$2"
"""


def helper_bytes() -> bytes:
    """The node helper that belongs to this version of the bot."""
    return files("deploy").joinpath("roundsman-helper").read_bytes()


def helper_checksum() -> str:
    return hashlib.sha256(helper_bytes()).hexdigest()


def install(settings: ClusterSettings, node: str, admin_user: str, admin_key: Path) -> str:
    """Install and check the helper on one node; a sentence on what is there now. Raises ClusterError.

    1. sudo and the bot's login  2. the helper  3. its line for sudo  4. the bot's key  5. the bot's own login tries it
    """
    login = settings.ssh.user
    if login == "root":
        raise Refused("the bot should not log in as root: its key would be good for everything", "set ssh.user")
    admin = SshNode(node, settings.nodes[node], settings.ssh.model_copy(update=_as(admin_user, admin_key)))
    root = _Root(admin, admin_user)
    try:
        root.run("installing sudo", NEED_SUDO)
        root.run(f"adding the login {login}", NEED_LOGIN, login)
        root.put("putting the helper in place", PUT, HELPER, "0755", helper_bytes())
        root.put("allowing it in sudo", PUT_SUDOERS, SUDOERS, "0440", sudoers(login))
        root.run("letting the bot's key in", PUT_KEY, login, _key(settings), stdin=f"{key_line(settings)}\n".encode())
    finally:
        admin.close()
    return _tried(settings, node)


def _as(user: str, key: Path) -> dict[str, str]:
    return {"user": user, "key_file": str(key)}


class _Root:
    """Runs fixed scripts as root on one node."""

    def __init__(self, ssh: SshNode, user: str) -> None:
        self._ssh = ssh
        self._prefix = [] if user == "root" else ["sudo", "-n"]

    def run(self, what: str, script: str, *args: str, stdin: bytes = b"") -> None:
        done = self._ssh.run([*self._prefix, "sh", "-c", script, "install", *args], STEP_S, stdin=stdin)
        if done.rc:
            said = (done.err or done.out).decode(errors="replace").strip().rpartition("\n")[2][:200]
            raise Refused(f"{self._ssh.name}: {what} failed: {said or f'exit code {done.rc}'}")

    def put(self, what: str, script: str, file: str, mode: str, content: bytes) -> None:
        self.run(what, script, file, mode, hashlib.sha256(content).hexdigest(), stdin=content)


def _tried(settings: ClusterSettings, node: str) -> str:
    """What the bot's own login gets to see: the installed file must be this one."""
    ssh = SshNode(node, settings.nodes[node], settings.ssh)
    try:
        found = Helper(ssh, settings).status()
    finally:
        ssh.close()
    if found.checksum != helper_checksum():
        raise Refused(f"{node}: {HELPER} is another file than the one just installed ({found.checksum[:12]})")
    return f"the helper is installed ({found.checksum[:12]}) and answers to {settings.ssh.user}"


def sudoers(login: str) -> bytes:
    """The sudoers file for that login."""
    text = files("deploy").joinpath("sudoers.d-roundsman").read_text()
    return text.replace("\nroundsman ALL", f"\n{login} ALL").encode()


def key_line(settings: ClusterSettings) -> str:
    """For authorized_keys: the bot's key is good for the helper, and for nothing else."""
    return f'restrict,command="{settings.ssh.helper}" {public_key(settings.ssh.key_file)} {settings.ssh.user}'


def _key(settings: ClusterSettings) -> str:
    return public_key(settings.ssh.key_file).split()[1]


def by_hand(settings: ClusterSettings) -> str:
    """The same as shell lines: sudo and the login on each node, then two files copied there, then the rest. Without
    sudo, which Proxmox VE does not bring, there is no folder for the second file."""
    deploy = Path(str(files("deploy")))
    login, line = settings.ssh.user, shlex.quote(key_line(settings))
    copies = [
        f"scp -P {node.ssh_port} {shlex.quote(str(deploy / name))} root@{_for_scp(node.address)}:{target}"
        for node in settings.nodes.values()
        for name, target in (("roundsman-helper", HELPER), ("sudoers.d-roundsman", SUDOERS))
    ]
    there = f"on each node ({', '.join(settings.nodes)}), as root"
    lines = [
        f"# {there}; after an update of Roundsman: leave this out",
        "apt-get install --no-install-recommends sudo",
        f"useradd --system --create-home --shell /bin/sh --password '*' {login}",
        "",
        "# on this machine",
        *copies,
        "",
        f"# {there}",
        f"chown root:root {HELPER} {SUDOERS} && chmod 0755 {HELPER} && chmod 0440 {SUDOERS} && visudo -c",
        *([f"sed -i 's/^roundsman ALL/{login} ALL/' {SUDOERS}"] if login != "roundsman" else []),
        f"sha256sum {HELPER}   # {helper_checksum()}",
        "",
        f"# {there}; after an update of Roundsman: leave this out",
        f"install -d -m 0700 -o {login} ~{login}/.ssh",
        f"echo {line} >> ~{login}/.ssh/authorized_keys",
        f"chown {login}: ~{login}/.ssh/authorized_keys && chmod 0600 ~{login}/.ssh/authorized_keys",
    ]
    return "\n".join(lines)


def _for_scp(address: str) -> str:
    """To scp a file's path begins at the first colon, so an IPv6 address stands in brackets."""
    return f"[{address}]" if ":" in address else address
