"""What machines say in words and numbers of their own, for people who read it at night."""

from __future__ import annotations

STATUS_WORDS = {
    "io-error": "halted by an I/O error",
    "internal-error": "halted by an internal error of QEMU",
    "guest-panicked": "halted by a panic of its kernel",
    "unknown": "in an unknown state",
}
"""QEMU's and Proxmox VE's own words."""
GIB = 1 << 30


def condition(status: str) -> str:
    """What follows after "it is"."""
    return STATUS_WORDS.get(status, status)


def gib(amount: float) -> str:
    """Of bytes: "16.0 GiB"."""
    return f"{amount / GIB:.1f} GiB"


def short_span(seconds: float) -> str:
    """ "47 s", "12 min", "3 h", "2 d": the largest unit of which there are at least two."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
