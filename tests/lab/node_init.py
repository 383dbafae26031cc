#!/usr/bin/python3
"""PID 1 of a lab node: lays out the node's own view of the machine, starts sshd and glusterd, mounts the volume, reaps,
and shuts everything down in order.

    node_init.py NODE DISK BOOT_ID HOST_IP API_PORT

DISK is the node's folder on the host (its disk: /etc, /var, /boot, bricks). It waits for a line on stdin before it
begins, for the network cable is plugged in from outside. It ends with 10 (boot again) or 11 (stay off).
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

EXIT_REBOOT, EXIT_POWEROFF = 10, 11
VOLUME = "vmstore"
CLIENT = "guests"
"""The machine on which the pretend guests live: it only mounts the volume, and never reboots."""
MOUNT = Path(f"/mnt/pve/{VOLUME}")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENV = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}


def mount(*argv: str) -> None:
    subprocess.run(["mount", *argv], check=True)


def lay_out(disk: Path, boot_id: str) -> None:
    """The node's own /etc and /var over the machine's, its own /run, bricks, kernel release and boot id."""
    mount("-t", "proc", "proc", "/proc")
    for top in ("etc", "var"):
        layers = disk / "overlay" / top
        layers_opt = f"lowerdir=/{top},upperdir={layers}/upper,workdir={layers}/work"
        mount("-t", "overlay", f"{top}-of-node", "-o", layers_opt, f"/{top}")
    for source, target in (
        ("glusterd", "/var/lib/glusterd"),
        ("log", "/var/log"),
        ("boot", "/boot"),
        ("root", "/root"),
    ):
        Path(target).mkdir(exist_ok=True)
        mount("--bind", str(disk / source), target)
    for name in ("bin", "sbin"):
        mount("--bind", str(disk / f"local-{name}"), f"/usr/local/{name}")
    mount("-t", "tmpfs", "-o", "mode=755", "mnt-of-node", "/mnt")
    MOUNT.mkdir(parents=True)
    Path("/mnt/data").mkdir()
    mount("--bind", str(disk / "data"), "/mnt/data")
    mount("-t", "tmpfs", "-o", "mode=755", "run-of-node", "/run")
    for name in ("sshd", "gluster", "lock", "lab"):
        Path("/run", name).mkdir()
    Path("/run/lab/boot_id").write_text(boot_id + "\n")
    mount("--bind", "/run/lab/boot_id", "/proc/sys/kernel/random/boot_id")
    kernel = (disk / "next-kernel").read_text().strip()
    Path("/run/lab/kernel").write_text(kernel + "\n")


def spawn(log: str, *argv: str) -> int:
    with open(f"/var/log/{log}", "a") as out:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=ENV, cwd="/", start_new_session=True
        ).pid


def answer_api(host: str, port: int) -> None:
    """The node's API port, answered by the stand-in on the host; it dies with the node, as the real one does."""
    server = socket.create_server(("0.0.0.0", 8006))
    while True:
        relay(server.accept()[0], (host, port))


def relay(here: socket.socket, target: tuple[str, int]) -> None:
    """One connection handed on, both ways, in a thread of its own; closed at once if nobody is there."""
    try:
        there = socket.create_connection(target, 5)
    except OSError:
        here.close()
        return
    threading.Thread(target=hand_on, args=(here, there), daemon=True).start()


def hand_on(here: socket.socket, there: socket.socket) -> None:
    with here, there, contextlib.suppress(OSError):
        while True:
            readable, _, _ = select.select([here, there], [], [], 60)
            for source in readable:
                data = source.recv(65536)
                if not data:
                    return
                (there if source is here else here).sendall(data)


class Init:
    def __init__(self, node: str) -> None:
        self.node = node
        self.stopping = False
        self.mounter = 0
        self.next_mount = 0.0

    def run(self) -> int:
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stopping", True))
        socket.sethostname(self.node)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        if self.node != CLIENT:
            spawn("sshd.log", "/usr/sbin/sshd", "-D", "-e")
            spawn("glusterd-start.log", "/usr/sbin/glusterd", "-p", "/run/glusterd.pid")
        while not self.stopping:
            self.reap()
            self.keep_mounted()
            time.sleep(0.1)
        return self.shut_down()

    def reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                if pid == self.mounter:
                    self.mounter = 0

    def keep_mounted(self) -> None:
        """As pvestatd does: the storage is activated again and again until it is there."""
        known = self.node == CLIENT or Path(f"/var/lib/glusterd/vols/{VOLUME}/info").exists()
        if self.mounter or not known or time.monotonic() < self.next_mount:
            return
        self.next_mount = time.monotonic() + 2
        if f" {MOUNT} fuse.glusterfs " not in Path("/proc/mounts").read_text():
            first = "pve1" if self.node == CLIENT else self.node
            others = ":".join(n for n in ("pve1", "pve2", "pve3") if n != first)
            servers = f"backup-volfile-servers={others}"
            self.mounter = spawn(
                "mount.log", "mount", "-t", "glusterfs", "-o", servers, f"{first}:/{VOLUME}", str(MOUNT)
            )

    def shut_down(self) -> int:
        action = Path("/run/lab/action")
        again = action.exists() and action.read_text().strip() == "reboot"
        subprocess.run(["umount", "-l", str(MOUNT)], check=False)
        for sig, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 2.0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, sig)
            until = time.monotonic() + patience
            while time.monotonic() < until and len([p for p in os.listdir("/proc") if p.isdigit()]) > 1:
                self.reap()
                time.sleep(0.05)
        return EXIT_REBOOT if again else EXIT_POWEROFF


def main() -> int:
    node, disk, boot_id, host, port = sys.argv[1:]
    sys.stdin.readline()
    lay_out(Path(disk), boot_id)
    shutil.copyfile(f"{disk}/hosts", "/etc/hosts")
    threading.Thread(target=answer_api, args=(host, int(port)), daemon=True).start()
    return Init(node).run()


if __name__ == "__main__":
    sys.exit(main())
