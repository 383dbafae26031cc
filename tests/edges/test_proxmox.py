"""The API adapter against a small TLS server: certificates, refusals, silence, and which node is asked instead."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from cluster import proxmox
from cluster.api import Refused, Uncertain, Unreachable
from cluster.proxmox import Proxmox
from cluster.settings import ApiSettings, ClusterSettings, NodeSettings, SshSettings

TOKEN = "roundsman@pve!bot"
SECRET = "5a3c0ffe-secret"

Respond = Callable[["Request"], None]


class Certificate:
    """Self-signed, so that it is its own CA."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
        now = datetime.now(UTC)
        signed = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.fingerprint = signed.fingerprint(hashes.SHA256()).hex(":").upper()
        self.file = folder / "pve-root-ca.pem"
        self.file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        chain = folder / "chain.pem"
        pem, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        chain.write_bytes(key.private_bytes(serialization.Encoding.PEM, pem, plain) + self.file.read_bytes())
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(chain)


class Entry(ThreadingHTTPServer):
    """One node's API. `respond` is what it does with every request; `seen` is what it was asked."""

    daemon_threads = True

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.certificate = certificate
        self.respond: Respond = says({"release": "9.2"})
        self.seen: list[str] = []
        self.bodies: list[dict[str, str]] = []
        self.connections: set[object] = set()
        self.over = threading.Event()
        self._open = True
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def get_request(self) -> tuple[socket.socket, Any]:
        """The handshake is left to the thread of the connection."""
        plain, address = super().get_request()
        wrapped = self.certificate.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        return wrapped, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what these tests are about."""
        assert isinstance(sys.exc_info()[1], OSError)

    def close(self) -> None:
        if self._open:
            self._open = False
            self.over.set()
            self.shutdown()
            self.server_close()


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Entry

    def do_GET(self) -> None:
        assert self.headers["Authorization"] == f"PVEAPIToken={TOKEN}={SECRET}"
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.seen.append(f"{self.command} {self.path.removeprefix('/api2/json/')}")
        self.server.bodies.append(dict(parse_qsl(body)))
        self.server.connections.add(self.connection)
        self.server.respond(self)

    do_POST = do_PUT = do_GET

    def answer(self, body: bytes, status: int = 200, reason: str = "OK") -> None:
        self.send_response(status, reason)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def says(data: Any) -> Respond:
    return lambda request: request.answer(json.dumps({"data": data}).encode())


def refuses(status: int, reason: str, errors: dict[str, str] | None = None) -> Respond:
    body = {"data": None, **({"errors": errors} if errors else {})}
    return lambda request: request.answer(json.dumps(body).encode(), status, reason)


def a_web_page(request: Request) -> None:
    request.answer(b"<html>It works!</html>")


def other_json(request: Request) -> None:
    request.answer(b'["not", "the", "API"]')


def silence(request: Request) -> None:
    request.server.over.wait(10)


def drops_the_line(request: Request) -> None:
    request.connection.shutdown(socket.SHUT_RDWR)


WHOLE = json.dumps({"data": {"release": "drip"}}).encode()


def drips_headers(request: Request) -> None:
    """Never silent: a byte of a header again and again, for longer than any time limit here, then an answer."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    drip(request, b"x")
    request.wfile.write(b"\r\nContent-Length: %d\r\n\r\n%s" % (len(WHOLE), WHOLE))


def drips_a_body(request: Request) -> None:
    """Blanks before the JSON, in one large body, so that whoever reads large pieces meets no end of one."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (DRIPS + len(WHOLE)))
    drip(request, b" ")
    request.wfile.write(WHOLE)


def drips_without_an_end(request: Request) -> None:
    """Whole JSON at once; that it ends with the line, and when, is not said."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + WHOLE)
    drip(request, b" ")


DRIPS, DRIP_S = 100, 0.05


def drip(request: Request, byte: bytes) -> None:
    for _ in range(DRIPS):
        request.server.over.wait(DRIP_S)
        request.wfile.write(byte)


def a_flood(request: Request) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (3 * len(FLOOD)))
    for _ in range(3):
        request.wfile.write(FLOOD)


FLOOD = b" " * (1 << 20)


def sends_elsewhere(request: Request) -> None:
    request.send_response(302)
    request.send_header("Location", "/api2/json/version")
    request.send_header("Content-Length", "0")
    request.end_headers()


class Nodes:
    """Three entries, and the clients that ask them."""

    def __init__(self, folder: Path) -> None:
        self._clients: list[Proxmox] = []
        self.certificate = Certificate(folder)
        self.all = {name: Entry(self.certificate) for name in ("pve1", "pve2", "pve3")}

    def __getitem__(self, name: str) -> Entry:
        return self.all[name]

    def api(self, *, ca_file: str | None = None, fingerprint: str = "", timeout: float = 5.0) -> Proxmox:
        nodes = {
            name: NodeSettings(
                address="127.0.0.1",
                host_key="ssh-ed25519 AAAA",
                api_port=entry.server_address[1],
                fingerprint=fingerprint,
            )
            for name, entry in self.all.items()
        }
        ca = str(self.certificate.file) if ca_file is None else ca_file
        api = ApiSettings(token_id=TOKEN, token=SecretStr(f"{SECRET}\n"), ca_file=ca, timeout=timeout)
        ssh = SshSettings(key_file="/key")
        self._clients.append(Proxmox(ClusterSettings(name="attic", channel="C1", nodes=nodes, api=api, ssh=ssh)))
        return self._clients[-1]

    def shut(self, name: str) -> None:
        """Nobody listens there any more."""
        self.all[name].close()

    def close(self) -> None:
        for client in self._clients:
            client.close()
        for entry in self.all.values():
            entry.close()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    opened = Nodes(tmp_path)
    yield opened
    opened.close()


# ---- who is trusted ----------------------------------------------------------------------------------------------


def test_the_cluster_s_ca_file_is_enough(nodes: Nodes) -> None:
    assert nodes.api().get("version") == {"release": "9.2"}


def test_a_self_signed_certificate_without_ca_is_refused_and_says_what_to_do(nodes: Nodes) -> None:
    with pytest.raises(Unreachable, match="the certificate of the API of pve1 is not trusted: self-signed") as refused:
        nodes.api(ca_file="").ask("pve1", "get", "version")
    assert "copy /etc/pve/pve-root-ca.pem" in refused.value.hint
    assert nodes["pve1"].seen == []


def test_the_right_fingerprint_needs_no_ca(nodes: Nodes) -> None:
    assert nodes.api(ca_file="", fingerprint=nodes.certificate.fingerprint).get("version") == {"release": "9.2"}


def test_another_fingerprint_is_refused_and_the_shown_one_told(nodes: Nodes) -> None:
    with pytest.raises(Unreachable, match="pve1 shows another certificate than the one that is pinned") as refused:
        nodes.api(fingerprint="AA:" * 31 + "AA").ask("pve1", "get", "version")
    assert nodes.certificate.fingerprint in str(refused.value)
    assert nodes["pve1"].seen == []


def test_a_ca_file_that_is_not_there_is_named(nodes: Nodes) -> None:
    with pytest.raises(Refused, match=r"there is no CA file /nowhere/ca\.pem"):
        nodes.api(ca_file="/nowhere/ca.pem").get("version")


# ---- what is sent ------------------------------------------------------------------------------------------------


def test_booleans_go_out_as_one_and_zero(nodes: Nodes) -> None:
    nodes["pve1"].respond = says("UPID:pve1:...")
    nodes.api().send("post", "nodes/pve2/qemu/101/migrate", target="pve3", online=True, restart=False)
    assert nodes["pve1"].bodies == [{"target": "pve3", "online": "1", "restart": "0"}]


def test_reads_share_a_connection_and_every_act_has_its_own(nodes: Nodes) -> None:
    api = nodes.api()
    api.get("version")
    api.get("version")
    assert len(nodes["pve1"].connections) == 1
    api.send("put", "nodes/pve1/qemu/101/config", onboot=True)
    assert len(nodes["pve1"].connections) == 2


def test_a_connection_that_rested_for_long_is_not_taken_again(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that closes it at this very moment would look as if it broke the line, and its path be passed over."""
    monkeypatch.setattr(proxmox, "KEPT_S", 0.0)
    api = nodes.api()
    api.get("version")
    api.get("version")
    assert len(nodes["pve1"].connections) == 2


# ---- refusals ----------------------------------------------------------------------------------------------------


def test_a_wrong_token_is_named_without_its_secret(nodes: Nodes) -> None:
    nodes["pve1"].respond = refuses(401, "invalid token value!")
    with pytest.raises(Refused, match="the API on pve1 does not accept the token roundsman@pve!bot") as refused:
        nodes.api().get("version")
    assert SECRET not in str(refused.value) + refused.value.hint


def test_a_missing_privilege_is_named_with_the_line_that_grants_it(nodes: Nodes) -> None:
    nodes["pve1"].respond = refuses(403, "Permission check failed (/vms/101, VM.Migrate)")
    with pytest.raises(Refused, match=r"the token roundsman@pve!bot lacks VM\.Migrate on /vms/101") as refused:
        nodes.api().get("nodes/pve1/qemu/101/migrate")
    assert refused.value.hint == (
        "`pveum role modify Roundsman --append 1 --privs VM.Migrate` and "
        "`pveum acl modify /vms --roles Roundsman --users 'roundsman@pve' --tokens 'roundsman@pve!bot'`"
    )


def test_a_wrong_parameter_is_told_in_pve_s_words(nodes: Nodes) -> None:
    nodes["pve1"].respond = refuses(400, "Parameter verification failed.", {"target": "target is local node."})
    with pytest.raises(Refused, match=r"refused post nodes/pve2/qemu/101/migrate: target: target is local node\."):
        nodes.api().send("post", "nodes/pve2/qemu/101/migrate", target="pve2")


def test_a_semantic_error_is_a_refusal_in_pve_s_words(nodes: Nodes) -> None:
    nodes["pve1"].respond = refuses(500, "cluster not ready - no quorum?")
    with pytest.raises(
        Refused, match=r"refused post nodes/pve2/qemu/101/status/start: cluster not ready - no quorum\?"
    ):
        nodes.api().send("post", "nodes/pve2/qemu/101/status/start")


def test_an_unknown_path_means_that_this_pve_is_too_old(nodes: Nodes) -> None:
    nodes["pve1"].respond = refuses(501, "Method 'GET /nodes/pve1/lxc/201/migrate' not implemented")
    with pytest.raises(Refused, match="Proxmox VE on pve1 is too old for get nodes/pve1/lxc/201/migrate"):
        nodes.api().get("nodes/pve1/lxc/201/migrate")


def test_a_node_that_is_down_behind_the_entry_is_not_answered_by_asking_the_next_entry(nodes: Nodes) -> None:
    nodes["pve1"].respond = refuses(595, "No route to host")
    with pytest.raises(Unreachable, match=r"pve3 does not answer \(so says pve1: No route to host\)"):
        nodes.api().get("nodes/pve3/status")
    assert nodes["pve2"].seen == []


def test_an_act_on_a_node_that_hangs_may_have_been_done(nodes: Nodes) -> None:
    nodes["pve1"].respond = refuses(596, "Connection timed out")
    with pytest.raises(Uncertain, match="pve3 does not answer in time"):
        nodes.api().send("post", "nodes/pve3/qemu/101/status/start")
    with pytest.raises(Unreachable, match="pve3 does not answer in time"):
        nodes.api().get("nodes/pve3/status")


def test_an_act_that_pve_itself_gave_up_waiting_for_may_have_been_done(nodes: Nodes) -> None:
    nodes["pve1"].respond = refuses(500, "got timeout")
    with pytest.raises(Uncertain, match="got timeout"):
        nodes.api().send("post", "nodes/pve1/qemu/101/status/shutdown")


# ---- silence, and whom to ask instead ----------------------------------------------------------------------------


@pytest.mark.parametrize("page", [a_web_page, other_json])
def test_something_else_on_the_port_is_no_answer(nodes: Nodes, page: Respond) -> None:
    nodes["pve1"].respond = page
    with pytest.raises(Uncertain, match="answers, but not as the Proxmox VE API does"):
        nodes.api().ask("pve1", "get", "version")
    assert nodes.api().get("version") == {"release": "9.2"}


def test_nothing_is_no_answer_to_a_read_but_it_is_to_an_act(nodes: Nodes) -> None:
    nodes["pve1"].respond = says(None)
    assert nodes.api().send("put", "nodes/pve1/qemu/101/config", onboot=False) is None
    with pytest.raises(Uncertain, match="not as the Proxmox VE API does"):
        nodes.api().ask("pve1", "get", "version")


@pytest.mark.slow
def test_a_read_goes_on_to_the_next_entry_when_one_is_silent(nodes: Nodes) -> None:
    nodes["pve1"].respond = silence
    assert nodes.api(timeout=2.0).get("version") == {"release": "9.2"}


@pytest.mark.slow
@pytest.mark.parametrize("dripping", [drips_headers, drips_a_body, drips_without_an_end])
def test_an_entry_that_drips_has_no_more_time_than_a_silent_one(nodes: Nodes, dripping: Respond) -> None:
    nodes["pve1"].respond = dripping
    assert nodes.api(timeout=2.0).get("version") == {"release": "9.2"}
    assert nodes["pve2"].seen == ["GET version"]


@pytest.mark.slow
@pytest.mark.parametrize("dripping", [drips_headers, drips_a_body, drips_without_an_end])
def test_an_act_that_is_answered_drop_by_drop_may_have_been_done_or_not(nodes: Nodes, dripping: Respond) -> None:
    nodes["pve1"].respond = dripping
    with pytest.raises(Uncertain, match=r"pve1 \(127\.0\.0\.1:\d+\) did not answer in time"):
        nodes.api(timeout=2.0).send("post", "nodes/pve2/qemu/101/status/start")
    assert nodes["pve2"].seen == []


@pytest.mark.slow
def test_a_line_that_was_cut_for_dripping_is_not_used_again(nodes: Nodes) -> None:
    api = nodes.api(timeout=2.0)
    api.ask("pve1", "get", "version")
    nodes["pve1"].respond = drips_a_body
    with pytest.raises(Uncertain):
        api.ask("pve1", "get", "version")
    nodes["pve1"].respond = says({"release": "again"})
    assert api.ask("pve1", "get", "version") == {"release": "again"}


def test_an_answer_without_end_is_none(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxmox, "MOST_BYTES", len(FLOOD))
    nodes["pve1"].respond = a_flood
    with pytest.raises(Uncertain, match=r"not as the Proxmox VE API does \(it does not end\)"):
        nodes.api().ask("pve1", "get", "version")


def test_an_entry_that_sends_elsewhere_is_not_followed(nodes: Nodes) -> None:
    nodes["pve1"].respond = sends_elsewhere
    with pytest.raises(Uncertain, match=r"not as the Proxmox VE API does \(it sends elsewhere\)"):
        nodes.api().ask("pve1", "get", "version")
    assert nodes["pve1"].seen == ["GET version"]


def test_a_silent_entry_is_asked_last_for_a_while(nodes: Nodes) -> None:
    nodes.shut("pve1")
    api = nodes.api()
    api.get("version")
    api.get("version")
    assert nodes["pve2"].seen == ["GET version"] * 2


def test_an_act_goes_on_to_the_next_entry_only_if_nothing_was_sent(nodes: Nodes) -> None:
    nodes.shut("pve1")
    nodes["pve2"].respond = says("UPID:pve3:...")
    assert nodes.api().send("post", "nodes/pve3/qemu/101/status/start") == "UPID:pve3:..."


@pytest.mark.slow
@pytest.mark.parametrize("broken", [silence, drops_the_line, a_web_page])
def test_an_act_whose_line_broke_is_not_repeated_elsewhere(nodes: Nodes, broken: Respond) -> None:
    nodes["pve1"].respond = broken
    with pytest.raises(Uncertain):
        nodes.api(timeout=2.0).send("post", "nodes/pve3/qemu/101/status/start")
    assert (nodes["pve1"].seen, nodes["pve2"].seen) == (["POST nodes/pve3/qemu/101/status/start"], [])


def test_the_node_under_the_knife_is_never_the_entry(nodes: Nodes) -> None:
    nodes["pve2"].respond = nodes["pve3"].respond = silence
    with pytest.raises(Unreachable):
        nodes.api(timeout=0.3).get("version", avoid="pve1")
    assert nodes["pve1"].seen == []


def test_when_no_entry_answers_all_of_them_are_told(nodes: Nodes) -> None:
    for name in nodes.all:
        nodes.shut(name)
    with pytest.raises(Unreachable) as nobody:
        nodes.api().get("version")
    assert [f"no connection to the API of {name}" in str(nobody.value) for name in nodes.all] == [True] * 3


def test_each_thread_has_its_own_client(nodes: Nodes) -> None:
    api = nodes.api()
    threads = [threading.Thread(target=api.get, args=("version",)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(nodes["pve1"].connections) == 3
