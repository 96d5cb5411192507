"""Hosts of a test's own: network namespaces that reach this machine by one address, and nothing else."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

_NETWORK = "198.18"  # set apart for tests of networks (RFC 2544)


@dataclass(frozen=True)
class Host:
    """A namespace's name, and the address at which it reaches this machine."""

    name: str
    here: str

    def command(self, *words: str) -> list[str]:
        """A command that runs there."""
        return ["ip", "netns", "exec", self.name, *words]


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no network namespaces here: ip {' '.join(words)}: {done.stderr.strip()}")


@contextlib.contextmanager
def host(number: int) -> Iterator[Host]:
    """Host `number` of this test process. Skips the test, saying why, where none can be made."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("network namespaces need root and iproute2")
    mark = os.getpid() % 256
    name, cable = f"udt{os.getpid()}-{number}", f"u{os.getpid()}-{number}"
    here, there = (f"{_NETWORK}.{mark}.{4 * number + end}" for end in (1, 2))
    with contextlib.ExitStack() as stack:
        _ip("netns", "add", name)
        stack.callback(subprocess.run, ["ip", "netns", "delete", name], check=True)  # its end of the cable goes with it
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("address", "add", f"{here}/30", "dev", cable)
        _ip("link", "set", cable, "up")
        _ip("-netns", name, "address", "add", f"{there}/30", "dev", "eth0")
        _ip("-netns", name, "link", "set", "eth0", "up")
        _ip("netns", "exec", name, "true")
        yield Host(name, here)


@contextlib.contextmanager
def relayed(address: str, path: str) -> Iterator[int]:
    """Whoever connects to `address` reaches the server behind the unix socket `path`; yields the port.

    All who connected must be gone when the block ends.
    """
    pumps: list[threading.Thread] = []
    with socket.create_server((address, 0)) as door:
        accepting = threading.Thread(target=_accept, args=(door, path, pumps))
        accepting.start()
        try:
            yield int(door.getsockname()[1])
        finally:
            door.shutdown(socket.SHUT_RDWR)
            for thread in (accepting, *pumps):
                thread.join()


def _accept(door: socket.socket, path: str, pumps: list[threading.Thread]) -> None:
    with contextlib.suppress(OSError):  # the door was shut
        while True:
            client, _ = door.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(path)
            pumps.append(threading.Thread(target=_both_ways, args=(client, server)))
            pumps[-1].start()


def _both_ways(client: socket.socket, server: socket.socket) -> None:
    with client, server:
        answers = threading.Thread(target=_pump, args=(server, client))
        answers.start()
        _pump(client, server)
        answers.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):  # one of them is gone
        while block := source.recv(1 << 16):
            target.sendall(block)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
