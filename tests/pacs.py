"""A real archive for a test: Orthanc on 127.0.0.1, with its own folder and free ports; started, asked by REST, stopped."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

NEEDED = {"Orthanc": "orthanc", "storescu": "dcmtk"}  # program: Debian package
PLACES = ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin")
HERE = "127.0.0.1"


@dataclass(frozen=True)
class Archive:
    """A running archive by its two ports."""

    http: int
    dicom: int

    def get(self, path: str) -> Any:
        """The answer of the REST API to GET, as JSON."""
        return json.loads(self.raw(path))

    def raw(self, path: str) -> bytes:
        """The bytes that it answers."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy
        with opener.open(f"http://{HERE}:{self.http}{path}", timeout=30) as answer:
            return bytes(answer.read())

    def send(self, *files: Path) -> subprocess.CompletedProcess[str]:
        """Store files with DCMTK's storescu, as a scanner does."""
        command = [program("storescu"), "--required", "-aec", "ORTHANC", HERE, str(self.dicom), *map(str, files)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def program(name: str) -> str:
    """Where a program lies; skips the test with the package's name where it is not installed."""
    found = shutil.which(name) or next((f"{place}/{name}" for place in PLACES if Path(place, name).is_file()), None)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian package {NEEDED[name]})")
    return found


@contextmanager
def orthanc(folder: Path) -> Iterator[Archive]:
    """An archive that keeps its files in `folder`, for as long as the block runs."""
    server, _ = (program(name) for name in NEEDED)
    archive = Archive(*free_ports(2))
    settings = {
        "Name": "test", "StorageDirectory": str(folder / "storage"), "IndexDirectory": str(folder / "storage"), "Plugins": [],
        "HttpPort": archive.http, "HttpBindAddresses": [HERE], "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "DicomPort": archive.dicom, "DicomAet": "ORTHANC", "DicomCheckCalledAet": False, "DicomAlwaysAllowStore": True,
        "DicomThreadsCount": 1, "ConcurrentJobs": 1,
    }  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen([server, str(folder / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(archive, process, folder / "log.txt")
        yield archive
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=30)


def free_ports(count: int) -> Sequence[int]:
    """Ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((HERE, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _wait(archive: Archive, process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise AssertionError(f"Orthanc ended with {process.returncode}: {log.read_text()[-2000:]}")
        try:
            archive.get("/system")
            return
        except (OSError, urllib.error.URLError):
            time.sleep(0.1)
    raise AssertionError(f"Orthanc did not answer in {seconds} s: {log.read_text()[-2000:]}")
