"""The server of the page, asked over HTTP as a browser or an attacker would."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from view_samples import NAMES, SHAPE, affines, mask_like, pictures, predicted, scan, volumes, write_volume

from monai_hybrid.gallery.cases import read_collection
from monai_hybrid.viewing.server import PageServer


class Client:
    """Asks a server; `token` is put before each path."""

    def __init__(self, server: PageServer) -> None:
        self.server, self.port, self.token = server, server.server_port, server.token

    def __call__(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        raw: bool = False,
    ) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.putrequest(method, path if raw else f"/{self.token}/{path}", skip_host=True, skip_accept_encoding=True)
        given = {"Host": f"127.0.0.1:{self.port}", **(headers or {})}
        if body is not None:
            given = {"Content-Length": str(len(body)), "Content-Type": "application/octet-stream", **given}
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content, dict(answer.getheaders())

    def json(self, path: str) -> Any:
        """An answer that must be there."""
        status, content, _ = self(path)
        assert status == 200, content
        return json.loads(content)

    def number(self, case: str) -> int:
        """Of a case by its name."""
        return next(int(one["number"]) for one in self.json("cases")["cases"] if one["name"] == case)


def serving(folder: Path, labels: Path) -> PageServer:
    server = PageServer(read_collection(folder), labels)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    images = {**volumes(tmp_path / "images"), **pictures(tmp_path / "images")}
    images["<script>alert(1)<"] = write_volume(tmp_path / "images/s.nii.gz", scan(SHAPE), affines()["ras"])
    flag = {"oblique": "unsure over the foreground"}
    server = serving(predicted(tmp_path / "masks", images, flag=flag), tmp_path / "masks/corrected")
    yield Client(server)
    server.shutdown()
    server.server_close()


def packed(index: np.ndarray) -> bytes:
    return gzip.compress(index.astype(np.uint8).tobytes(order="F"), mtime=0)


def drawing_of(client: Client, number: int) -> np.ndarray:
    status, content, headers = client(f"cases/{number}/mask")
    assert status == 200, content
    shape = tuple(int(size) for size in headers["X-Shape"].split(","))
    return np.frombuffer(gzip.decompress(content), np.uint8).reshape(shape, order="F").copy()


def test_the_page_the_list_and_their_headers(client: Client) -> None:
    for path in ("", "view.css", "view.js", "drawing.js", "niivue.js"):
        status, content, headers = client(path)
        assert status == 200 and len(content) > 500
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'") and "unsafe-eval" not in policy and "http" not in policy
        assert "Access-Control-Allow-Origin" not in headers and headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    listed = client.json("cases")
    assert [one["name"] for one in listed["cases"]][:2] == ["oblique", "<script>alert(1)<"]  # flagged, then the least sure
    assert [(label["name"], label["value"], label["colour"]) for label in listed["labels"]][1:] == [
        ("LV", 3, "#E69F00"), ("RV", 7, "#56B4E9"),
    ]  # fmt: skip
    assert listed["count"] == 0 and listed["cases"][0]["numbers"]["volume_LV"].endswith(" ml")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}), ("/cases", {}), ("/x/cases", {}), ("/{token}", {}), ("/{token}x/cases", {}),
        ("/{token}/cases", {"Host": "evil.example"}), ("/{token}/cases", {"Host": "evil.example:{port}"}),
        ("/{token}/cases", {"Host": ""}), ("/{token}/cases", {"Origin": "http://evil.example"}),
        ("/{token}/cases", {"Origin": "null"}),
    ],
)  # fmt: skip
def test_without_secret_or_from_elsewhere_nothing_is_given(path: str, headers: dict[str, str], client: Client) -> None:
    def filled(text: str) -> str:
        return text.format(token=client.token, port=client.port)

    status, content, _ = client(filled(path), headers={key: filled(text) for key, text in headers.items()}, raw=True)
    assert status == 403 and b"cases" not in content.replace(b"monai-hybrid", b"")
    assert client("cases", headers={"Origin": f"http://127.0.0.1:{client.port}"})[0] == 200
    assert client("cases", headers={"Host": f"localhost:{client.port}"})[0] == 200


@pytest.mark.parametrize(
    "path",
    ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "cases/../../../etc/passwd", "cases/0/../../x", "server.py", "page/view.js",
     "cases/99/image", "cases/-1/image", "cases/1e3/image", "cases/²/image", "cases/0/image?channel=9",
     "cases/0/image?channel=-1",
     "cases/0/quality.csv", "cases/0", "cases/0/label", "quality.csv", "view.js/", "%00"],
)  # fmt: skip
def test_paths_lead_nowhere(path: str, client: Client) -> None:
    encoded = path.replace("²", "%C2%B2")
    assert client(encoded)[0] == 404


def test_images_come_as_they_are_or_as_plain_nifti(client: Client, tmp_path: Path) -> None:
    status, content, headers = client(f"cases/{client.number('oblique')}/image")
    assert status == 200 and headers["X-Name"] == "image.nii.gz"
    assert content == (tmp_path / "images/oblique.nii.gz").read_bytes()
    grey = nib.Nifti1Image.from_bytes(client(f"cases/{client.number('grey')}/image")[1])
    assert np.array_equal(np.asarray(grey.dataobj)[:, ::-1, 0], np.asarray(Image.open(tmp_path / "images/grey.png")).T)
    flat = nib.Nifti1Image.from_bytes(client(f"cases/{client.number('flat')}/image")[1])  # along -R and S
    stored = np.asarray(nib.load(tmp_path / "images/flat.nii.gz").dataobj)[:, 0]
    assert np.array_equal(np.asarray(flat.dataobj)[::-1, :, 0], stored)
    colour = nib.Nifti1Image.from_bytes(client(f"cases/{client.number('colour')}/image")[1])
    assert colour.get_data_dtype().names == ("R", "G", "B") and colour.shape == (40, 30, 1)


def test_masks_are_class_indices_in_the_order_of_the_image(client: Client) -> None:
    index = drawing_of(client, client.number("lps"))
    expected = mask_like(SHAPE)
    assert index.shape == SHAPE and np.array_equal(index == 1, expected == 3) and np.array_equal(index == 2, expected == 7)


def test_thumbnails_are_small_pictures(client: Client) -> None:
    for one in client.json("cases")["cases"]:
        status, content, headers = client(f"cases/{one['number']}/thumbnail")
        assert status == 200 and headers["Content-Type"] == "image/png" and len(content) < 40_000, one


@pytest.mark.parametrize("case", ["ras", "lps", "oblique", "grey", "colour", "flat"])
def test_a_drawing_becomes_a_label_on_the_grid_of_its_image(case: str, client: Client, tmp_path: Path) -> None:
    from data_prep.build import build
    from data_prep.check import check
    from data_prep.roles import read_label

    number = client.number(case)
    index = drawing_of(client, number)
    index[0, 0, 0], index[3, 2, 0] = 2, 1
    status, content, _ = client(f"cases/{number}/label?who=Dr+Who", "POST", packed(index))
    assert status == 200, content
    said = json.loads(content)
    label = Path(said["label"])
    assert said["changed"] == 2 and said["count"] == 1 and "monai-hybrid adapt --data" in said["adapt"]
    saved = read_label(label, flat=case in ("grey", "colour", "flat")).array
    seen = {"grey": index[:, ::-1, 0], "colour": index[:, ::-1, 0], "flat": index[::-1, :, 0]}.get(case, index)
    assert np.array_equal(saved, np.array([0, *NAMES.values()])[seen]) and saved.dtype == np.uint8
    if label.suffix == ".gz":
        image, written = nib.load(tmp_path / f"images/{case}.nii.gz"), nib.load(label)
        assert written.affine.tobytes() == image.affine.tobytes() and written.shape == image.shape
        for name in ("qform_code", "sform_code", "srow_x", "quatern_b", "pixdim"):
            assert np.array_equal(written.header[name], image.header[name]), name
    about = json.loads(Path(said["sidecar"]).read_text(encoding="utf-8"))
    assert about["corrected_by"] == "Dr Who" and about["changed_voxels"] == 2 and about["when"].endswith("+00:00")
    folder = tmp_path / "masks/corrected"
    assert not [finding for finding in check(folder) if finding.level == "error"]
    build(folder, tmp_path / "prepared")


def test_a_label_is_replaced_only_when_that_is_said(client: Client) -> None:
    number = client.number("ras")
    index = drawing_of(client, number)
    index[1, 1, 1] = 1
    label = Path(json.loads(client(f"cases/{number}/label", "POST", packed(index))[1])["label"])
    before = label.read_bytes()
    index[2, 2, 2] = 2
    status, content, _ = client(f"cases/{number}/label", "POST", packed(index))
    assert status == 409 and b"is there already; nothing was written" in content and label.read_bytes() == before
    assert client(f"cases/{number}/label?replace=yes", "POST", packed(index))[0] == 200
    assert nib.load(label).get_fdata()[2, 2, 2] == 7
    assert np.array_equal(drawing_of(client, number), index)  # the saved one is opened
    assert drawing_of(client, number)[2, 2, 2] == 2 and client.json("cases")["count"] == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"no gzip", "did not arrive whole"),
        (packed(np.zeros(7)), "expected 3840"),
        (gzip.compress(bytes(10_000_000), mtime=0), "expected 3840"),
        (packed(np.zeros(SHAPE))[:-6], "expected 3840"),
        (packed(np.full(SHAPE, 3)), "does not fit its image"),
    ],
    ids=["no-gzip", "too-short", "a-bomb", "cut", "another-class"],
)
def test_drawings_that_do_not_fit_are_refused(body: bytes, said: str, client: Client, tmp_path: Path) -> None:
    status, content, _ = client(f"cases/{client.number('ras')}/label", "POST", body)
    assert status == 422 and said in json.loads(content)["error"]
    assert not (tmp_path / "masks/corrected").exists()


def test_a_form_of_another_page_saves_nothing(client: Client, tmp_path: Path) -> None:
    body, number = packed(np.zeros(SHAPE)), client.number("ras")
    assert client(f"cases/{number}/label", "POST", body, {"Content-Type": "text/plain"})[0] == 422
    assert client(f"cases/{number}/label", "POST", body, {"Origin": "http://evil.example"})[0] == 403
    assert client(f"cases/{number}/label", "PUT", body)[0] == 501
    assert not (tmp_path / "masks/corrected").exists()


def test_requests_of_no_sense_are_answered_and_tell_nothing(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    endless = "9" * 5000  # Python makes no number of so many digits
    assert client(f"cases/0/image?channel={endless}")[0] == 500
    assert client("cases/0/label", "POST", b"", {"Content-Length": endless})[0] == 500
    assert client("http://[/cases", raw=True)[0] == 403
    with socket.create_connection(("127.0.0.1", client.port)) as half:
        half.sendall(b"GET /x HTTP/1.1\r\nHost")
        half.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ends it with a reset
    assert client("cases")[0] == 200 and "Traceback" not in capsys.readouterr().err


def test_200_cases_are_listed_in_under_a_second(tmp_path: Path) -> None:
    image = write_volume(tmp_path / "one.nii.gz", scan((8, 8, 6)), affines()["ras"])
    folder = predicted(tmp_path / "masks", {f"case_{number:03d}": image for number in range(200)})
    server = serving(folder, folder / "corrected")
    started = time.monotonic()
    assert len(Client(server).json("cases")["cases"]) == 200
    assert time.monotonic() - started < 1
    server.shutdown()
    server.server_close()
