"""A small object store in memory, as plain as the plainest of compatible services, for tests that start no service."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlparse
from xml.sax.saxutils import escape

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_CHECKSUMS = ("x-amz-sdk-checksum-algorithm", "x-amz-trailer", "x-amz-checksum")


class Request(NamedTuple):
    """What a client asked for: `GET`, the host that it named, the path, the query, the headers in lower case."""

    method: str
    host: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]


@dataclass
class SmallStore:
    """The objects by `bucket/key`, the requests that came, and how the service behaves.

    `knows_checksums`, `knows_bulk_delete`: what plain services lack. `cut_after`: an answer to GET breaks off after so
    many bytes. `heeds_ranges`: whether it sends the range asked for or all of it.
    """

    url: str = ""
    buckets: set[str] = field(default_factory=lambda: {"bucket"})
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    knows_checksums: bool = True
    knows_bulk_delete: bool = True
    cut_after: int | None = None
    heeds_ranges: bool = True

    def seen(self, method: str, path: str = "") -> list[Request]:
        """The requests of a method whose path contains this."""
        return [request for request in self.requests if request.method == method and path in request.path]


@contextmanager
def small_s3() -> Iterator[SmallStore]:
    """The store, while its server runs."""
    store = SmallStore()
    handler = type("Handler", (_Handler,), {"store": store})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        store.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield store
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: SmallStore

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            cut = self.store.cut_after
            if self.command == "GET" and cut is not None and len(body) > cut:
                self.close_connection = True
                body = body[:cut]
            self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def _serve(self) -> None:
        url = urlparse(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = parse_qs(url.query, keep_blank_values=True)
        request = Request(self.command, headers["host"], unquote(url.path), query, headers)
        body = self.rfile.read(int(headers.get("content-length", 0)))
        self.store.requests.append(request)
        name = request.path.lstrip("/")
        if name.partition("/")[0] not in self.store.buckets:
            self._refuse(404, "NoSuchBucket")
        elif not self.store.knows_checksums and any(h.startswith(_CHECKSUMS) for h in headers):
            self._refuse(400, "InvalidArgument")
        else:
            {"PUT": self._put, "POST": self._post}.get(self.command, self._other)(name, request, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815  names that http.server looks for

    def _put(self, name: str, request: Request, body: bytes) -> None:
        if "partNumber" in request.query:
            self.store.parts[name][int(request.query["partNumber"][0])] = body
        else:
            self.store.objects[name] = body
        self._answer(200, ETag=_etag(body))

    def _post(self, name: str, request: Request, body: bytes) -> None:
        if "uploads" in request.query:
            self.store.parts[name] = {}
            self._answer(200, b"<R><UploadId>1</UploadId></R>")
        elif "uploadId" in request.query:
            self.store.objects[name] = b"".join(part for _, part in sorted(self.store.parts[name].items()))
            self._answer(200, b"<R><ETag>1</ETag></R>")
        elif not self.store.knows_bulk_delete:
            self._refuse(501, "NotImplemented")
        else:
            for key in re.findall(r"<Key>(.*?)</Key>", body.decode()):
                self.store.objects.pop(f"{name.rstrip('/')}/{key}", None)
            self._answer(200, b"<DeleteResult></DeleteResult>")

    def _other(self, name: str, request: Request, body: bytes) -> None:  # noqa: ARG002  as PUT and POST
        bucket, _, key = name.partition("/")
        if request.method == "DELETE":
            self.store.objects.pop(name, None)
            self._answer(204)
        elif not key:
            self._answer(200, self._listing(bucket, request.query.get("prefix", [""])[0]))
        elif name not in self.store.objects:
            self._refuse(404, "NoSuchKey")
        else:
            self._send(self.store.objects[name], request)

    def _send(self, data: bytes, request: Request) -> None:
        found = _RANGE.fullmatch(request.headers.get("range", ""))
        if request.headers.get("if-match", _etag(data)) != _etag(data):
            self._refuse(412, "PreconditionFailed")
        elif found and self.store.heeds_ranges:
            first, last = int(found[1]), min(int(found[2] or len(data)), len(data) - 1)
            if first > last:
                self._refuse(416, "InvalidRange")
            else:
                shown = f"bytes {first}-{last}/{len(data)}"
                self._answer(206, data[first : last + 1], ETag=_etag(data), Content_Range=shown)
        else:
            self._answer(200, data, ETag=_etag(data))

    def _listing(self, bucket: str, prefix: str) -> bytes:
        names = sorted(name for name in self.store.objects if name.startswith(f"{bucket}/{prefix}"))
        items = "".join(
            f"<Contents><Key>{escape(name.partition('/')[2])}</Key><Size>{len(self.store.objects[name])}</Size>"
            f"<ETag>{escape(_etag(self.store.objects[name]))}</ETag></Contents>"
            for name in names
        )
        count = f"<IsTruncated>false</IsTruncated><KeyCount>{len(names)}</KeyCount>"
        return f"<ListBucketResult>{count}{items}</ListBucketResult>".encode()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is http.server's
        """Nothing."""


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'
