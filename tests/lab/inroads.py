"""A node and a jump host in network namespaces of their own, with real sshd on both, and three cables that can be
pulled, muted and slowed:

    the bot (this machine) --- direct --- node        10.78.1.0/24
    the bot --- uplink --- jump host                  10.78.2.0/24
    jump host --- back --- node                       10.78.3.0/24

The node's helper and its API are the sandbox's, reached over unix sockets, so that no cable carries them but these.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster.settings import ApiSettings, JumpHost, NodeSettings, PathSettings, SshSettings
from sandbox.helper import Helper
from sandbox.lines import Acts, Gone
from sandbox.model import Model
from sandbox.nodes import TOKEN, Faces
from sandbox.spec import default_spec, managed_settings
from tests.lab.hardware import sh, wait_for
from tests.lab.node_init import hand_on
from tests.waiting import PATIENCE_S
from workflows.settings import ManagedCluster

NODE, JUMP = "rmp-node", "rmp-jump"
BOT_IP, NODE_IP = "10.78.1.1", "10.78.1.2"
UPLINK_IP, JUMP_IP = "10.78.2.1", "10.78.2.2"
BACK_JUMP_IP, BACK_NODE_IP = "10.78.3.1", "10.78.3.2"
SILENCE_S = 5.0
SSHD = """\
Port 22
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
UseDNS no
PidFile {folder}/sshd.pid
{more}
"""
HELPER = """\
#!{python}
import json, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect({path!r})
line.sendall(json.dumps(sys.argv[1:]).encode() + b"\\n")
answer = json.loads(line.makefile().readline())
sys.stdout.write(answer["out"]); sys.stderr.write(answer["err"]); sys.exit(answer["exit"])
"""
RELAY = """\
import socket, sys
sys.path.insert(0, {root!r})
from tests.lab.node_init import hand_on
from tests.waiting import PATIENCE_S
import threading
server = socket.create_server(("0.0.0.0", 8006))
while True:
    here = server.accept()[0]
    there = socket.socket(socket.AF_UNIX)
    there.connect({path!r})
    threading.Thread(target=hand_on, args=(here, there), daemon=True).start()
"""


class Cable:
    """From `near` (on this machine, or in a namespace) to `far`. Ends in namespaces are named by them."""

    def __init__(self, name: str, near: tuple[str, str], far: tuple[str, str]) -> None:
        self.name, self._near, self._far = name, near, far

    def plug(self) -> None:
        a, b = f"{self.name}-a", f"{self.name}-b"
        sh("ip", "link", "add", a, "type", "veth", "peer", "name", b)
        for device, (space, address) in ((a, self._near), (b, self._far)):
            if space:
                sh("ip", "link", "set", device, "netns", space)
            ip = ("ip", "-n", space) if space else ("ip",)
            sh(*ip, "address", "add", f"{address}/24", "dev", device)
            sh(*ip, "link", "set", device, "up")

    def mute(self) -> None:
        """What the far end sends is lost, and nobody is told: the worst way to die."""
        sh("ip", "-n", self._far[0], "route", "add", "blackhole", f"{self._near[1]}/32")

    def unmute(self) -> None:
        sh("ip", "-n", self._far[0], "route", "delete", "blackhole", f"{self._near[1]}/32")

    def pull(self) -> None:
        sh("ip", "-n", self._far[0], "link", "set", f"{self.name}-b", "down")

    def slow(self, rate: str) -> None:
        sh(
            *("ip", "netns", "exec", self._far[0], "tc", "qdisc", "add", "dev", f"{self.name}-b", "root"),
            *("tbf", "rate", rate, "burst", "2kb", "latency", "5s"),
        )


class Inroads:
    """`before`, `after`: run when the helper has an order, and when it has obeyed but not answered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.direct = Cable("rmp-d", ("", BOT_IP), (NODE, NODE_IP))
        self.uplink = Cable("rmp-u", ("", UPLINK_IP), (JUMP, JUMP_IP))
        self.back = Cable("rmp-b", (JUMP, BACK_JUMP_IP), (NODE, BACK_NODE_IP))
        self.before: Callable[[str], None] = lambda _: None
        self.after: Callable[[str], None] = lambda _: None
        self.model = Model(default_spec(), 1, time.time())
        self.faces = Faces(self.model, time.time, self._made("faces"))
        self._helper = Helper(self.model, time.time, Acts(self.model, time.time, self.faces.faults))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._servers: list[socket.socket] = []
        self._over = threading.Event()

    def up(self) -> None:
        self.down()
        self._over.clear()
        for space in (NODE, JUMP):
            sh("ip", "netns", "add", space)
            sh("ip", "-n", space, "link", "set", "lo", "up")
        for cable in (self.direct, self.uplink, self.back):
            cable.plug()
        sh("ip", "-n", JUMP, "route", "add", f"{NODE_IP}/32", "via", BACK_NODE_IP)
        sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "id"))
        self.faces.start()
        self._listen(self.folder / "helper.sock", self._obey)
        self._listen(self.folder / "api.sock", self._api)
        self._sshd(NODE, "")
        self._sshd(JUMP, "AllowTcpForwarding local\nPermitOpen 10.78.1.2:22 10.78.1.2:8006\nForceCommand /bin/false")
        relay = RELAY.format(root=str(Path(__file__).parents[2]), path=str(self.folder / "api.sock"))
        self._start(NODE, sys.executable, "-c", relay)
        for address, port in ((NODE_IP, 22), (NODE_IP, 8006), (JUMP_IP, 22)):
            wait_for(f"{address}:{port}", lambda a=address, p=port: _answers(a, p), PATIENCE_S)  # type: ignore[misc]

    def hang(self, seconds: float) -> None:
        """The helper says nothing for so long, but not longer than the lab is there."""
        self._over.wait(seconds)

    def down(self) -> None:
        self._over.set()
        for process in self._processes:
            process.kill()
            process.wait()
        for server in self._servers:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        for space in (NODE, JUMP):
            sh("ip", "netns", "delete", space, check=False)
        for cable in (self.direct, self.uplink):
            sh("ip", "link", "delete", f"{cable.name}-a", check=False)

    def settings(self) -> ManagedCluster:
        """Of the three nodes of the model only pve1 is on these cables."""
        helper, key = self.folder / "roundsman-helper", str(self.folder / "id")
        helper.write_text(HELPER.format(python=sys.executable, path=str(self.folder / "helper.sock")))
        helper.chmod(0o755)
        jump = JumpHost(address=JUMP_IP, user="root", host_key=self._host_key(JUMP))
        place = NodeSettings(
            address=NODE_IP, host_key=self._host_key(NODE), fingerprint=self.faces.certificates["pve1"].fingerprint
        )
        changes: dict[str, Any] = {
            "nodes": {"pve1": place},
            "api": ApiSettings(token_id="roundsman@pve!bot", token=TOKEN),
            "ssh": SshSettings(user="root", key_file=key, helper=str(helper)),
            "paths": (
                PathSettings(name="direct", silence=SILENCE_S),
                PathSettings(name="lte", kind="jump", jumps=(jump,), silence=SILENCE_S),
            ),
            "paths_back_after": 2.0,
        }
        return managed_settings(self.model.spec).model_copy(update=changes)

    # inside -----------------------------------------------------------------------------------------------------

    def _made(self, name: str) -> Path:
        (self.folder / name).mkdir(parents=True)
        return self.folder / name

    def _sshd(self, space: str, more: str) -> None:
        folder = self._made(space)
        sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "host_key"))
        shutil.copy(self.folder / "id.pub", folder / "authorized_keys")
        (folder / "sshd_config").write_text(SSHD.format(folder=folder, more=more))
        Path("/run/sshd").mkdir(exist_ok=True)
        self._start(space, "/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config"))

    def _host_key(self, space: str) -> str:
        return " ".join((self.folder / space / "host_key.pub").read_text().split()[:2])

    def _start(self, space: str, *argv: str) -> None:
        log = (self.folder / f"{space}.log").open("ab")
        with log:
            self._processes.append(
                subprocess.Popen(
                    ["ip", "netns", "exec", space, *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/"
                )
            )

    def _listen(self, path: Path, serve: Callable[[socket.socket], None]) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen()
        self._servers.append(server)

        def accept() -> None:
            with suppress(OSError):  # closed: the lab ends
                while True:
                    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def _obey(self, line: socket.socket) -> None:
        with line, suppress(OSError, Gone):
            words = json.loads(line.makefile().readline())
            self.before(words[0])
            if self._over.is_set():
                return
            reply = self.faces.run(lambda: self._helper.answer("pve1", words))
            self.after(words[0])
            answer = {"out": reply.out, "err": reply.err, "exit": reply.exit}
            line.sendall(json.dumps(answer).encode() + b"\n")

    def _api(self, line: socket.socket) -> None:
        port = self.faces.settings().nodes["pve1"].api_port
        hand_on(line, socket.create_connection(("127.0.0.1", port)))


def _answers(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), 0.5):
        return True
    return False
