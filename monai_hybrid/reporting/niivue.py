"""NiiVue, the viewer of volumes in a browser, as it is kept in `vendor/`: one script, packed, with its notice and checksum.

    python -m monai_hybrid.reporting.niivue

fetches the file of the stated version anew, with npm, and refuses one of another checksum. A new version is stated in
`vendor/niivue.json` first.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import tarfile
import tempfile
import zlib
from functools import cache
from pathlib import Path
from typing import Any

from monai_hybrid.errors import EnvironmentFault

VENDOR = Path(__file__).parent / "vendor"
PACKED = VENDOR / "niivue.umd.js.gz"


@cache
def about() -> dict[str, Any]:
    """Name, version, file of the package, sha256 of that file unpacked, licence."""
    return dict(json.loads((VENDOR / "niivue.json").read_text(encoding="utf-8")))


def packed_script() -> bytes:
    """The script, gzipped; about 0.8 MB.

    Raises:
        EnvironmentFault: it is not there, or not the one that was vendored.
    """
    try:
        packed = PACKED.read_bytes()
        intact = hashlib.sha256(gzip.decompress(packed)).hexdigest() == about()["sha256"]
    except (OSError, EOFError, zlib.error) as error:
        raise EnvironmentFault(f"{PACKED}: cannot be read ({error}); install monai-hybrid anew") from error
    if not intact:
        raise EnvironmentFault(f"{PACKED}: its checksum is not that of NiiVue {about()['version']}; install monai-hybrid anew")
    return packed


def notice() -> str:
    """The licence, which goes with every copy."""
    return (VENDOR / str(about()["notice"])).read_text(encoding="utf-8")


def fetch(target: Path = PACKED) -> Path:
    """Fetch the package with `npm pack`, and write its script to `target`, packed.

    Raises:
        EnvironmentFault: npm is missing or fails, or the script has another checksum; nothing is written then.
    """
    told, name = about(), f"{about()['name']}@{about()['version']}"
    with tempfile.TemporaryDirectory() as folder:
        try:
            command = ["npm", "pack", name, "--pack-destination", folder]
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
            with tarfile.open(next(Path(folder).glob("*.tgz"))) as package:
                file = package.extractfile(f"package/{told['file']}")
                script = file.read() if file else b""
        except (OSError, subprocess.SubprocessError, tarfile.TarError, KeyError, StopIteration) as error:
            raise EnvironmentFault(f"{name}: npm did not give it ({error}). Type: npm pack {name}") from error
    seen = hashlib.sha256(script).hexdigest()
    if seen != told["sha256"]:
        raise EnvironmentFault(f"{name}: sha256 is {seen}, expected {told['sha256']}; nothing was written")
    target.write_bytes(gzip.compress(script, 9, mtime=0))
    return target


if __name__ == "__main__":
    print(fetch())
