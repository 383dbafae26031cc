"""The hardware of the lab: three nodes made of Linux namespaces, their power, cables and disks. Real GlusterFS, real
sshd, real FUSE mounts; one kernel is shared, so its release and boot id are stood in for, and so are systemd, apt, HA
and corosync (see `stand_ins/`)."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.stand_in import ProxmoxStandIn

HERE = Path(__file__).parent
REPO = HERE.parent.parent
BRIDGE, SUBNET = "rmlab0", "10.77.0"
HOST_IP = f"{SUBNET}.1"
NODES = {f"pve{n}": f"{SUBNET}.{10 + n}" for n in (1, 2, 3)}
CLIENT, CLIENT_IP = "guests", f"{SUBNET}.20"
VOLUME = "vmstore"
MOUNT = f"/mnt/pve/{VOLUME}"
BRICK = f"/mnt/data/{VOLUME}/brick"
OLD_KERNEL, NEW_KERNEL = "6.8.12-4-pve", "6.8.12-9-pve"
EXIT_REBOOT = 10
MBIT = 250
"""The speed of each node's cable: so that a heal takes as long, beside a boot, as on real disks and wires."""
NEEDED = {
    "glusterd": "glusterfs-server",
    "sshd": "openssh-server",
    "ip": "iproute2",
    "getfattr": "attr",
    "tc": "iproute2",
}
PENDING = (
    f"proxmox-kernel-{NEW_KERNEL} 0 1.0\npve-manager 8.4.1 8.4.5\nglusterfs-server 10.3-4 10.3-5\n"
    "qemu-server 8.3.3 8.3.8\n"
)
SSHD = """\
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /etc/ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
UseDNS no
MaxStartups 100:30:200
PidFile /run/sshd.pid
"""


def sh(*argv: str, check: bool = True, timeout: float = 180.0) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def missing() -> str:
    """Why there can be no lab here, or ""."""
    if os.geteuid():
        return "the lab needs root"
    packages = sorted({p for tool, p in NEEDED.items() if not shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin")})
    if packages:
        return f"missing Debian packages: {' '.join(packages)}"
    return "" if os.path.exists("/dev/fuse") else "there is no /dev/fuse"


def wait_for(what: str, test: Callable[[], object], timeout: float, pause: float = 0.1) -> None:
    deadline = time.monotonic() + timeout
    while not test():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:.0f} s: {what}")
        time.sleep(pause)


def at_once(names: Iterable[str], act: Callable[[str], object]) -> None:
    names = list(names)
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(act, names))


class Node:
    """One node: a disk (a folder), a power switch, a supervisor thread that boots it again when it asked for that."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.name, self.ip = lab, name, NODES.get(name, CLIENT_IP)
        self.disk = lab.folder / name
        self.process: subprocess.Popen[bytes] | None = None
        self.pid = 0
        self.boots: list[tuple[float, float]] = []
        """(time it went dark, time it was powered on again) of every reboot, by the hardware's own watch."""
        self._off = threading.Event()
        self._watcher: threading.Thread | None = None

    def make_disk(self) -> None:
        for name in ("glusterd", "log/glusterfs", "boot", "root", "data", "local-bin", "local-sbin"):
            (self.disk / name).mkdir(parents=True)
        for top in ("etc", "var"):
            for layer in ("upper", "work"):
                (self.disk / "overlay" / top / layer).mkdir(parents=True)
        for name in ("groups", "hooks"):  # templates of Debian's package
            shutil.copytree(f"/var/lib/glusterd/{name}", self.disk / "glusterd" / name)
        for path in (HERE / "stand_ins").iterdir():
            shutil.copy(path, self.disk / "local-bin")
        shutil.copy(REPO / "deploy" / "roundsman-helper", self.disk / "local-sbin")
        (self.disk / "local-sbin" / "roundsman-helper").chmod(0o755)
        (self.disk / "boot" / f"vmlinuz-{OLD_KERNEL}").touch()
        (self.disk / "next-kernel").write_text(OLD_KERNEL)
        peers = "".join(f"{ip} {name}.lab.example {name}\n" for name, ip in NODES.items())
        (self.disk / "hosts").write_text(f"127.0.0.1 localhost\n{peers}")
        self._make_etc()
        lib = self.disk / "overlay/var/upper/lib"
        (lib / "lab").mkdir(parents=True)
        (lib / "lab" / "pending").write_text(PENDING)

    def _make_etc(self) -> None:
        etc = self.disk / "overlay/etc/upper"
        (etc / "ssh").mkdir(parents=True)
        (etc / "corosync").mkdir()
        nodes = "".join(f"  node {{\n    name: {name}\n    quorum_votes: 1\n  }}\n" for name in NODES)
        (etc / "corosync/corosync.conf").write_text(f"totem {{\n  config_version: 3\n}}\nnodelist {{\n{nodes}}}\n")
        (etc / "ssh/sshd_config").write_text(SSHD)
        shutil.copy(self.lab.key.with_suffix(".pub"), etc / "ssh/authorized_keys")
        key = etc / "ssh/ssh_host_ed25519_key"
        sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))

    @property
    def host_key(self) -> str:
        text = (self.disk / "overlay/etc/upper/ssh/ssh_host_ed25519_key.pub").read_text()
        return " ".join(text.split()[:2])

    # power ------------------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        self._off.clear()
        self._boot()
        self._watcher = threading.Thread(target=self._watch, name=f"power of {self.name}", daemon=True)
        self._watcher.start()

    def _boot(self) -> None:
        kernels = sorted(p.name.removeprefix("vmlinuz-") for p in (self.disk / "boot").glob("vmlinuz-*"))
        (self.disk / "next-kernel").write_text(NEW_KERNEL if NEW_KERNEL in kernels else OLD_KERNEL)
        argv = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child"]
        argv += ["--propagation", "private", "/usr/bin/python3", str(HERE / "node_init.py"), self.name, str(self.disk)]
        argv += [str(uuid.uuid4()), HOST_IP, str(self.lab.api_ports.get(self.name, 1))]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, cwd="/")
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        wait_for(f"PID 1 of {self.name}", lambda: children.read_text().strip(), 60, 0.01)
        self.pid = int(children.read_text())
        self._plug()
        assert self.process.stdin
        self.process.stdin.write(b"go\n")
        self.process.stdin.close()

    def _plug(self) -> None:
        """The same hardware address at each boot, as a real card's: peers cache it."""
        card = ["address", f"02:77:00:00:00:{self.ip.rsplit('.')[-1]}"]
        cable = ["ip", "link", "add", f"rm-{self.name}", "type", "veth", "peer", "name", "eth0", *card]
        wait_for(
            "a network of its own",
            lambda: os.stat(f"/proc/{self.pid}/ns/net").st_ino != os.stat("/proc/self/ns/net").st_ino,
            60,
            0.01,
        )
        sh(*cable, "netns", str(self.pid))
        sh("ip", "link", "set", f"rm-{self.name}", "master", BRIDGE, "up")
        inside = ("nsenter", "--target", str(self.pid), "--net", "ip")
        sh(*inside, "address", "add", f"{self.ip}/24", "dev", "eth0")
        sh(*inside, "link", "set", "eth0", "up")
        for where, device in (((), f"rm-{self.name}"), (("nsenter", "--target", str(self.pid), "--net"), "eth0")):
            speed = ("rate", f"{self.lab.mbit}mbit", "burst", "256kb", "latency", "50ms")
            sh(*where, "tc", "qdisc", "add", "dev", device, "root", "tbf", *speed)

    def _watch(self) -> None:
        """Power stays on: what asked for a reboot is booted again after the lab's boot delay."""
        while self.process:
            code = self.process.wait()
            dark = time.monotonic()
            self.pid = 0
            sh("ip", "link", "delete", f"rm-{self.name}", check=False)
            if code != EXIT_REBOOT or self._off.wait(self.lab.boot_delay):
                return
            self._boot()
            self.boots.append((dark, time.monotonic()))

    def power_off(self) -> None:
        self._off.set()
        pid, self.pid = self.pid, 0
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.wait(60)
        if self._watcher:
            self._watcher.join(60)

    # inside -----------------------------------------------------------------------------------------------------

    def argv(self, *argv: str) -> list[str]:
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return ["nsenter", "--target", str(self.pid), "--all", "env", "-i", "-C", "/root", path, "HOME=/root", *argv]

    def run(self, *argv: str, check: bool = True, timeout: float = 180.0) -> str:
        return sh(*self.argv(*argv), check=check, timeout=timeout)

    def gluster(self, *argv: str, check: bool = True) -> str:
        return self.run("gluster", "--mode=script", *argv, check=check, timeout=150)

    def mounted(self) -> bool:
        return self.run("grep", "-c", f" {MOUNT} fuse.glusterfs ", "/proc/mounts", check=False).strip() == "1"

    def answers(self) -> bool:
        with suppress(OSError), socket.create_connection((self.ip, 22), 0.5):
            return True
        return False


class Lab:
    """Three nodes and a volume. `replica` 3, or 2 (bricks on pve1 and pve2)."""

    proxmox: ProxmoxStandIn

    def __init__(self, folder: Path, *, replica: int = 3, boot_delay: float = 5.0, mbit: int = MBIT) -> None:
        self.folder, self.replica, self.boot_delay, self.mbit = folder, replica, boot_delay, mbit
        self.key = folder / "id_ed25519"
        self.api_ports: dict[str, int] = {}
        self.nodes = {name: Node(self, name) for name in NODES}
        self.client = Node(self, CLIENT)
        """Where the pretend guests write from; it stands for whichever node a guest has been moved to."""

    def up(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        sh("ip", "link", "delete", BRIDGE, check=False)
        sh("ip", "link", "add", BRIDGE, "type", "bridge")
        sh("ip", "address", "add", f"{HOST_IP}/24", "dev", BRIDGE)
        sh("ip", "link", "set", BRIDGE, "up")
        at_once(NODES, lambda name: self.nodes[name].make_disk())
        at_once(NODES, lambda name: self.nodes[name].power_on())
        at_once(NODES, self._wait_booted)
        self._make_volume()
        self.client.make_disk()
        self.client.power_on()
        for node in (*self.nodes.values(), self.client):
            wait_for(f"the mount of {node.name}", node.mounted, 180)

    def _wait_booted(self, name: str) -> None:
        node = self.nodes[name]
        wait_for(f"sshd of {name}", node.answers, 120)
        wait_for(f"glusterd of {name}", lambda: "UUID" in node.gluster("pool", "list", check=False), 180)

    def _make_volume(self) -> None:
        first, bricks_on = self.nodes["pve1"], list(NODES)[: self.replica]
        for peer in list(NODES)[1:]:
            first.gluster("peer", "probe", peer)
        for node in self.nodes.values():  # each sees all: a peer that is known here may not be known there yet
            wait_for("the peers", lambda n=node: n.gluster("pool", "list").count("Connected") == len(NODES), 180)  # type: ignore[misc]
        for name in bricks_on:
            (self.nodes[name].disk / "data" / VOLUME).mkdir()
        bricks = [f"{name}:{BRICK}" for name in bricks_on]
        first.gluster("volume", "create", VOLUME, "replica", str(self.replica), *bricks, "force")
        first.gluster("volume", "start", VOLUME)

        def online() -> bool:
            shown = first.gluster("volume", "status", VOLUME, "--xml", check=False)
            return shown.count("<status>1</status>") >= 2 * len(bricks)

        wait_for("bricks and self-heal daemons", online, 180, 0.5)

    def down(self) -> None:
        for node in (self.client, *self.nodes.values()):
            node.power_off()
        sh("ip", "link", "delete", BRIDGE, check=False)
        deadline = time.monotonic() + 60
        while self.folder.exists():  # the kernel frees a dead node's mounts a moment after its last process
            shutil.rmtree(self.folder, ignore_errors=time.monotonic() < deadline)
            time.sleep(0.1)

    # the truth, from the bricks' own disks ----------------------------------------------------------------------

    def to_heal(self) -> int:
        """Entries in the bricks' index directories, on the disks themselves: what is really left to heal."""
        count = 0
        for name in list(NODES)[: self.replica]:
            index = self.nodes[name].disk / "data" / VOLUME / "brick/.glusterfs/indices/xattrop"
            with suppress(FileNotFoundError):
                count += sum(not entry.startswith("xattrop-") for entry in os.listdir(index))
        return count

    def checksums(self, file: str) -> dict[str, str]:
        """SHA-256 of one file on each brick's own disk."""
        found = {}
        for name in list(NODES)[: self.replica]:
            found[name] = sh("sha256sum", str(self.nodes[name].disk / "data" / VOLUME / "brick" / file)).split()[0]
        return found
