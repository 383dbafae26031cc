"""What a person writes about a cluster: nodes, ways to log in, storage, guests. Part of the one settings file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints

from base.settings import Duration, Section
from cluster.guest_settings import CannotMove, CannotMoveSetting, GuestGroup
from cluster.probe_settings import ProbeSettings, ProbingSettings

NODE_NAME = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,62}[A-Za-z0-9])?$"
"""As Proxmox VE names its nodes: the host name without its domain. A dot would also end a node's name in the keys of a
journal."""
NodeName = Annotated[str, StringConstraints(pattern=NODE_NAME)]


class NodeSettings(Section):
    address: str = Field(description="host name or IP by which the bot reaches the node")
    host_key: str = Field(
        description='its SSH host key, as in known_hosts: "ssh-ed25519 AAAA..."; pinned, never guessed; '
        "`ssh-keyscan -t ed25519 ADDRESS` prints it"
    )
    ssh_port: int = Field(22, ge=1, le=65535, description="where its sshd listens")
    api_port: int = Field(8006, ge=1, le=65535, description="where its API listens")
    fingerprint: str = Field("", description="SHA-256 fingerprint of its API certificate, instead of a CA file")
    power_cycle: tuple[str, ...] = Field(
        (),
        description="command, word by word, run on the bot's host without a shell, that switches the node off and on; "
        "its password belongs in a file (ipmitool -f FILE)",
    )


class ApiSettings(Section):
    token_id: str = Field(description='API token, such as "roundsman@pve!bot"')
    token: SecretStr = Field(SecretStr(""), description="its secret; from the environment ROUNDSMAN_PVE_TOKEN[_NAME]")
    ca_file: str = Field("", description="CA of the cluster: a copy of /etc/pve/pve-root-ca.pem")
    timeout: Duration = Field(40.0, description="of one request; PVE's own proxy gives up at 30 s and says why")


class SshSettings(Section):
    user: str = Field("roundsman", description="login on the nodes")
    key_file: str = Field(description="private key of the bot")
    helper: str = Field("sudo -n /usr/local/sbin/roundsman-helper", description="how the login runs the node helper")
    timeout: Duration = Field(60.0, description="of one short command, connect included")


class JumpHost(Section):
    """A machine on another line that lets the bot through to the nodes."""

    address: str = Field(description="host name or IP by which the bot, or the jump host before it, reaches it")
    host_key: str = Field(
        description="its SSH host key, pinned as those of the nodes are; `ssh-keyscan -t ed25519 ADDRESS` prints it"
    )
    port: int = Field(22, ge=1, le=65535, description="where its sshd listens")
    user: str = Field("roundsman", description="login on it; it needs no shell, only forwarding to the nodes")
    key_file: str = Field("", description="private key for it; empty = ssh.key_file")


class PathSettings(Section):
    """One way in. The first one of the list that lives is taken."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$", description='how people call it, such as "lte"')
    kind: str = Field(
        "direct",
        pattern="^(direct|jump|socks)$",
        description="direct, jump (through SSH jump hosts), or socks (through a SOCKS5 proxy)",
    )
    jumps: tuple[JumpHost, ...] = Field((), description="jump hosts in the order in which they are passed")
    proxy: str = Field("", description='SOCKS5 proxy as HOST:PORT, such as "127.0.0.1:1080"')
    guests: tuple[int, ...] = Field(
        (), description="guests of this very cluster that it goes through, such as routers; it dies with them"
    )
    silence: Duration = Field(10.0, description="a line that says nothing for so long, though asked, is given up")

    def socks(self) -> tuple[str, int]:
        """Host and port of the proxy. Raises ValueError."""
        host, _, port = self.proxy.rpartition(":")
        if not host or not 0 < int(port) < 65536:
            raise ValueError(self.proxy)
        return host.strip("[]"), int(port)


class GlusterSettings(Section):
    volumes: tuple[str, ...] = Field((), description="volumes that must be healed; empty = every volume of the pool")
    nodes: tuple[str, ...] = Field((), description="nodes that are peers of the pool; empty = every node")
    enabled: bool = Field(True, description="false only if this cluster has no Gluster at all")
    reads: int = Field(3, ge=2, description="consecutive reads that must all say healed")
    gap: Duration = Field(5.0, description="between two of them")
    timeout: Duration = Field(
        130.0, description="of one heal query: volume status may hang for 120 s after a power cut"
    )
    mount_prefix: str = Field("/mnt/pve", description="where the volumes are mounted as storages")


class BackupSettings(Section):
    critical: tuple[int, ...] = Field(
        (), description="guests that need a fresh backup before a run; groups' members always"
    )
    max_age: Duration = Field(172800.0, description="older backups do not count")
    verified: bool = Field(False, description="true: only backups count that the backup server has verified")
    protected: bool = Field(False, description="true: only backups count that are protected from being pruned")
    restores: bool = Field(
        True, description="false: this bot's token may restore nothing, and `roundsman check` does not ask for it"
    )
    make_missing: bool = Field(
        False, description="a run makes the backups that are missing by itself, before its gates"
    )
    storage: str = Field("", description="where to: needed for make_missing")
    on_gluster: tuple[str, ...] = Field(
        (), description="storages that lie on the volume itself: backups there do not count"
    )


class Window(Section):
    """When a run may touch a node: days and hours in a named time zone; may cross midnight."""

    days: tuple[str, ...] = Field(
        ("mon", "tue", "wed", "thu", "fri", "sat", "sun"), description="days on which the window opens"
    )
    start: str = Field("00:00", description="HH:MM")
    end: str = Field("24:00", description="HH:MM; before start: of the next day")
    zone: str = Field("UTC", description='name of the time zone, such as "Europe/Berlin"')


class ClusterSettings(Section):
    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$", description="how people call the cluster in commands"
    )
    channel: str = Field(description="Slack channel id (C...) where runs of this cluster live")
    nodes: dict[NodeName, NodeSettings] = Field(min_length=1, description="by the names that Proxmox VE gives them")
    api: ApiSettings
    ssh: SshSettings
    gluster: GlusterSettings = GlusterSettings()
    groups: tuple[GuestGroup, ...] = ()
    backups: BackupSettings = BackupSettings()
    windows: tuple[Window, ...] = Field((), description="maintenance windows; none = at any time")
    memory_reserve_mib: int = Field(
        2048, ge=0, description="left free on every node that takes guests, for the host itself"
    )
    cannot_move: CannotMoveSetting = CannotMove()
    replication_max_age: Duration = Field(
        93600.0, description="ZFS replication: an older last sync does not count; a nightly job is at most a day behind"
    )
    shutdown_timeout: Duration = Field(180.0, description="for a guest to shut down")
    vital_packages: tuple[str, ...] = Field(
        ("proxmox-ve", "pve-manager", "pve-qemu-kvm", "qemu-server", "glusterfs-server"),
        description="an upgrade that would remove one of them is refused",
    )
    probing: ProbingSettings = ProbingSettings()
    probes: tuple[ProbeSettings, ...] = Field((), description="what is looked at besides the default probes")
    paths: tuple[PathSettings, ...] = Field(
        (), description="ways to reach the nodes, in order; none = one, directly, which is no backup"
    )
    paths_required: int = Field(2, ge=1, description="live paths to every other node without which nothing is begun")
    paths_dead_after: Duration = Field(300.0, description="a path that reaches no node for so long is said to be dead")
    paths_back_after: Duration = Field(180.0, description="a path that failed is used first again after so long")

    @property
    def ways(self) -> tuple[PathSettings, ...]:
        return self.paths or (PathSettings(name="direct"),)
