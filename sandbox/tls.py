"""A cluster's own certificate authority and the API certificates of its nodes, as a fresh Proxmox VE makes them."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=730)
"""PVE's node certificates live two years."""


@dataclass(frozen=True, slots=True)
class NodeCertificate:
    """`chain_file` holds certificate and key. `fingerprint`: SHA-256 as PVE prints it, "AB:CD:..."."""

    chain_file: Path
    fingerprint: str

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain_file)
        return context


class Authority:
    """The CA of one cluster; writes `pve-root-ca.pem` and a file for each node into `directory`.

    Certificates are valid from an hour before `now` (seconds since the epoch) on; the sandbox's model time plays no
    part, for it is the client's real TLS library that judges them.
    """

    def __init__(self, directory: Path, now: float) -> None:
        self._directory = directory
        self._begin = datetime.fromtimestamp(now, UTC) - timedelta(hours=1)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Proxmox Virtual Environment")])
        self.ca_file = directory / "pve-root-ca.pem"
        self._root = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca_file.write_bytes(self._root.public_bytes(serialization.Encoding.PEM))

    def issue(self, node: str, addresses: Sequence[str] = ("127.0.0.1",)) -> NodeCertificate:
        """A certificate for the node's name, localhost and these IP addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName(node), x509.DNSName("localhost")]
        ips = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        certificate = (
            self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node)]), key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([*names, *ips]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        file = self._directory / f"{node}-api.pem"
        file.touch(mode=0o600)
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + _pem(key))
        return NodeCertificate(file, certificate.fingerprint(hashes.SHA256()).hex(":").upper())

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._begin)
            .not_valid_after(self._begin + LIFETIME)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


def _usage(signs: bool) -> x509.KeyUsage:
    """What a key is for: the CA's signs certificates, a node's proves who answers."""
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
