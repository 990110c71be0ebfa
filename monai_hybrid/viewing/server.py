"""The local server of the page: this machine alone, a secret in every address, cases by their number and never by a path."""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from data_prep.errors import DataError, EnvironmentFault, HybridError
from monai_hybrid.gallery.cases import Collection
from monai_hybrid.gallery.volumes import Stream
from monai_hybrid.reporting.niivue import packed_script
from monai_hybrid.viewing.answers import Answers
from monai_hybrid.viewing.labels import TakenError

HOST = "127.0.0.1"
PAGE = Path(__file__).parent / "page"
FILES = {"": "view.html", "view.css": "view.css", "view.js": "view.js", "drawing.js": "drawing.js"}
KINDS = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
LARGEST_DRAWING = 2**28  # bytes of a packed drawing
POLICY = (
    "default-src 'none'; script-src 'self' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
logger = logging.getLogger("monai_hybrid.viewing")


class PageServer(ThreadingHTTPServer):
    """Serves one collection on this machine.

    Args:
        collection: what to show.
        labels: folder into which corrected labels go.
        port: 0 takes a free one.

    Raises:
        EnvironmentFault: the port is taken.
    """

    daemon_threads = True

    def __init__(self, collection: Collection, labels: Path, port: int = 0) -> None:
        self.answers, self.token = Answers(collection, labels), secrets.token_urlsafe(24)
        self.busy = threading.Lock()  # one volume in memory at a time
        try:
            super().__init__((HOST, port), Handler)
        except (OSError, OverflowError) as error:
            raise EnvironmentFault(f"--port {port}: cannot be used ({error}). Leave it out, and a free one is taken") from error

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that ended early, as closed pages leave it, is nothing to tell."""
        logger.debug("a connection ended early", exc_info=True)

    @property
    def address(self) -> str:
        """Of the page, with its secret."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "monai_hybrid", ""
    timeout = 60

    def do_GET(self) -> None:
        """The page, its files, the list, and what belongs to a case."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """A drawing to save."""
        self._answer(self._post)

    def _answer(self, answer: Any) -> None:
        path = self._path()
        if path is None:
            self._refuse(HTTPStatus.FORBIDDEN, "open the whole address that monai-hybrid view has printed")
            return
        try:
            answer(path)
        except TakenError as error:
            self._refuse(HTTPStatus.CONFLICT, str(error))
        except EnvironmentFault as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        except HybridError as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except LookupError:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing at this address")
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True  # the page was closed
        except MemoryError:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "not enough memory for this case")
        except Exception as error:  # of a file or a request that nobody has thought of: the page is told, the server goes on
            told = f"this cannot be answered ({type(error).__name__}: {str(error)[:200]})"
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, told)

    def _path(self) -> str | None:
        """The path after the secret; None where host, origin or secret are not ours."""
        here = {f"{HOST}:{self.server.server_port}", f"localhost:{self.server.server_port}"}
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in here or (origin is not None and origin.removeprefix("http://") not in here):
            return None
        try:
            _, _, rest = urlsplit(self.path).path.partition("/")
        except ValueError:  # half an address of IPv6
            return None
        token, slash, path = rest.partition("/")
        return path if slash and hmac.compare_digest(token.encode(), self.server.token.encode()) else None

    def _get(self, path: str) -> None:
        if path in FILES:
            file = PAGE / FILES[path]
            self._send(file.read_bytes(), KINDS[file.suffix])
        elif path == "niivue.js":
            self._send(packed_script(), KINDS[".js"], {"Content-Encoding": "gzip", "Cache-Control": "private, max-age=3600"})
        elif path == "cases":
            self._send(_json(self.server.answers.listed()), "application/json")
        else:
            self._of_case(path)

    def _of_case(self, path: str) -> None:
        """cases/NUMBER/image?channel=N, cases/NUMBER/mask?of=predicted, cases/NUMBER/thumbnail"""
        number, what = self._case(path)
        query = {key: values[-1] for key, values in parse_qs(urlsplit(self.path).query).items()}
        answers = self.server.answers
        if what == "image":
            with self.server.busy:
                stream = answers.image(number, query.get("channel", "0"))
            self._stream(stream)
        elif what == "mask":
            with self.server.busy:
                content, headers = answers.mask(number, query.get("of", ""))
            self._send(content, "application/octet-stream", headers)
        elif what == "thumbnail":
            with self.server.busy:
                picture = answers.thumbnail(number)
            self._send(picture, "image/png")
        else:
            raise LookupError

    def _case(self, path: str) -> tuple[int, str]:
        first, _, rest = path.partition("/")
        number, _, what = rest.partition("/")
        if first != "cases" or not number.isascii() or not number.isdecimal() or len(number) > 9:
            raise LookupError
        return int(number), what

    def _post(self, path: str) -> None:
        number, what = self._case(path)
        if what != "label":
            raise LookupError
        length = self.headers.get("Content-Length") or ""
        if self.headers.get_content_type() != "application/octet-stream" or not length.isdecimal():
            raise DataError("expected a drawing, packed, with its length")
        if int(length) > LARGEST_DRAWING:
            self.close_connection = True
            raise DataError(f"the drawing has {int(length) / 1e6:.0f} MB, expected at most {LARGEST_DRAWING / 1e6:.0f} MB")
        query = {key: values[-1] for key, values in parse_qs(urlsplit(self.path).query).items()}
        packed = self.rfile.read(int(length))
        if len(packed) != int(length):
            self.close_connection = True
            raise DataError("the drawing did not arrive whole; save it again")
        with self.server.busy:
            told = self.server.answers.save(number, packed, query.get("who", ""), query.get("replace") == "yes")
        self._send(_json(told), "application/json")

    def _send(self, content: bytes, kind: str, more: dict[str, str] | None = None) -> None:
        self._stream(Stream("", len(content), iter((content,))), kind, more)

    def _stream(
        self, stream: Stream, kind: str = "application/octet-stream", more: dict[str, str] | None = None, status: int = 200
    ) -> None:
        self.send_response(status)
        named = {"X-Name": stream.name} if stream.name else {}
        for name, value in {
            **HEADERS,
            "Content-Type": kind,
            "Content-Length": str(stream.length),
            **named,
            **(more or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        for piece in _exactly(stream):
            self.wfile.write(piece)

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        if self.command == "POST":
            self.close_connection = True  # what it sends may not have been read
        content = _json({"error": sentence})
        try:
            self._stream(Stream("", len(content), iter((content,))), "application/json", status=status)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *values: Any) -> None:
        """Requests are told to nobody: their addresses hold the secret."""


def _exactly(stream: Stream) -> Iterator[bytes]:
    """As many bytes as were announced, whatever has become of the file since."""
    left = stream.length
    for piece in stream.pieces:
        yield piece[:left]
        left -= len(piece[:left])
        if left <= 0:
            return
    if left:
        raise BrokenPipeError("the file has become shorter")


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
