#!/usr/bin/python3
"""A pretend guest: writes numbered 4 KiB blocks into its image, each one fsynced, and logs every success and error.

    writer.py IMAGE RATE BLOCKS

A line a write: "TIME ok SECONDS" or "TIME error ERRNO SECONDS". Ends on SIGTERM.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time

BLOCK = 4096


def main() -> None:
    image, rate, blocks = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
    handle = os.open(image, os.O_WRONLY | os.O_CREAT)
    number = 0
    while not stopping:
        began = time.monotonic()
        number += 1
        body = f"write {number} ".encode().ljust(BLOCK, bytes([number % 251]))
        try:
            os.pwrite(handle, body, number * 769 % blocks * BLOCK)
            os.fsync(handle)
            result = "ok"
        except OSError as error:
            result = f"error {errno.errorcode.get(error.errno or 0, str(error.errno))}"
        took = time.monotonic() - began
        print(f"{time.time():.3f} {result} {took:.3f}", flush=True)
        time.sleep(max(0.0, 1 / rate - took))


main()
