"""MONAI Label's server with a copied bundle: /infer as the command line, /activelearning, /train, and /infer after it.

Label needs packages of its own: the environment's Python is given in MONAI_LABEL_PYTHON; nothing is installed here.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from bundle_runs import ROOT, run_bundle

from monai_hybrid.bundle_copy import copy_bundle
from monai_hybrid.weights import load_weights, read_card

PYTHON = os.environ.get("MONAI_LABEL_PYTHON", "")
NAME = "few_shot_finetune"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PYTHON, reason="MONAI_LABEL_PYTHON names no Python with monailabel 0.8.5; see docs/how-to/monai-label.md"
    ),
]


def apps(folder: Path) -> Path:
    """The sample app `monaibundle` of the installed package."""
    asked = "import monailabel, pathlib; print(pathlib.Path(monailabel.__file__).parents[1])"
    site = Path(subprocess.run([PYTHON, "-c", asked], capture_output=True, text=True, check=True, timeout=300).stdout.strip())
    prefix = site.parents[2]
    found = [
        *prefix.glob("monailabel/sample-apps/monaibundle"),
        *site.glob("monailabel-*.data/data/monailabel/sample-apps/monaibundle"),
    ]
    shutil.copytree(found[0], folder)
    return folder


@contextmanager
def server(app: Path, studies: Path) -> Iterator[str]:
    """The server on 127.0.0.1; ended afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        "--app",
        app,
        "--studies",
        studies,
        "--conf",
        "models",
        NAME,
        "--conf",
        "zoo_source",
        "local",
        "--conf",
        "sam2",
        "false",
    ]
    command = [PYTHON, "-m", "monailabel.main", "start_server", *words, "--host", "127.0.0.1", "--port", port]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    log = app.parent / "server.log"
    with log.open("w") as handle:
        process = subprocess.Popen(list(map(str, command)), env=environment, stdout=handle, stderr=handle, cwd=app.parent)
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert process.poll() is None, log.read_text()[-3000:]
            try:
                urllib.request.urlopen(f"{base}/info/", timeout=5)
                break
            except (urllib.error.URLError, TimeoutError):
                time.sleep(1)
        yield base
    finally:
        process.terminate()
        process.wait(timeout=60)


def post(url: str, content: dict[str, Any] | None = None) -> bytes:
    request = urllib.request.Request(
        url, json.dumps(content or {}).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=900) as answer:
        assert answer.status == 200
        return bytes(answer.read())


def submit(base: str, case: str, label: Path) -> None:
    """Hand a label over, as a viewer does."""
    border = uuid.uuid4().hex
    about = "Content-Disposition: form-data; name="
    head = f'--{border}\r\n{about}"params"\r\n\r\n{{}}\r\n--{border}\r\n{about}"label"; filename="{label.name}"\r\n\r\n'
    body = head.encode() + label.read_bytes() + f"\r\n--{border}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={border}"}
    request = urllib.request.Request(f"{base}/datastore/label?image={case}", body, kind, method="PUT")
    with urllib.request.urlopen(request, timeout=300) as answer:
        assert answer.status == 200


def test_label_infers_trains_and_infers_again(prepared: Path, trained: Path, tmp_path: Path) -> None:
    raw = prepared.parent / "raw"
    app, studies = apps(tmp_path / "monaibundle"), tmp_path / "studies"
    studies.mkdir()
    cases = sorted((raw / "images").glob("*.nii.gz"))[:4]
    for case in cases:
        shutil.copyfile(case, studies / case.name)
    bundle = copy_bundle(app / "model" / NAME, NAME, trained / "models/model.safetensors", prepared)
    before = load_weights(bundle / "models/model.pt")
    case = cases[-1].name.removesuffix(".nii.gz")

    def differing(base: str, out: Path) -> int:
        (tmp_path / "label.nii.gz").write_bytes(post(f"{base}/infer/{NAME}?image={case}&output=image"))
        model = bundle / "models/model.pt"
        done = run_bundle(f"bundles/{NAME}/configs/inference.json", input=cases[-1], model=model, output_dir=out)
        assert done.returncode == 0, done.stderr[-2000:]
        seen, expected = (np.asarray(nib.load(f).dataobj) for f in (tmp_path / "label.nii.gz", out / f"{case}_seg.nii.gz"))
        return int((seen != expected).sum())

    with server(app, studies) as base:
        assert differing(base, tmp_path / "first") == 0
        for other in cases[:3]:
            submit(base, other.name.removesuffix(".nii.gz"), raw / "labels" / other.name)
        assert json.loads(post(f"{base}/activelearning/random"))["id"] == case
        asked = {"max_epochs": 1, "val_split": -1, "device": "cpu", "multi_gpu": False, "model_filename": "model.pt"}
        post(f"{base}/train/{NAME}?run_sync=true", asked)
        after = load_weights(bundle / "models/model.pt")
        assert any(not bool((after[name] == weight).all()) for name, weight in before.items())
        card = read_card(bundle / "models/model.safetensors")
        assert card is not None and [label["name"] for label in card["labels"]][1:] == ["cortex", "nucleus", "ventricle"]
        assert all(bool((load_weights(bundle / "models/model.safetensors")[n] == w).all()) for n, w in after.items())
        assert differing(base, tmp_path / "second") == 0
