"""A real S3-compatible server (SeaweedFS) on this machine, and a way to it on which every fifth request fails."""

import http.client
import itertools
import json
import math
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

from data_prep.storage.storage import list_files, write
from tests.processes import wait_for_server

ACCESS_KEY, SECRET_KEY = "tests", "of-the-services"
GRPC_OFFSET = 10_000


@contextmanager
def seaweedfs(folder: Path) -> Iterator[str]:
    """Start the server with its data in an empty folder; gives the endpoint's URL."""
    ports = free_ports(4)
    s3 = ports[0]
    credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
    identity = {"name": "tests", "credentials": credentials, "actions": ["Admin", "Read", "List", "Tagging", "Write"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    names = ("s3", "master", "volume", "filer")
    options = [f"-{name}.port={port}" for name, port in zip(names, ports, strict=True)]
    options += [f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-s3.config={folder / 's3.json'}"]
    options += ["-volume.max=40", "-master.volumeSizeLimitMB=64", "-master.telemetry=false"]
    options += ["-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    weed = Path(sys.executable).with_name("weed")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([weed, "server", *options], stdout=log, stderr=log, cwd=folder)
    try:
        wait_for_server(process, f"http://127.0.0.1:{s3}/status", folder / "log")
        yield f"http://127.0.0.1:{s3}"
    finally:
        process.kill()
        process.wait()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, nor on those for gRPC that go with them; all below those of outgoing calls."""
    found = []
    for port in itertools.count(random.randrange(12_000, 20_000)):
        with ExitStack() as sockets:
            try:
                for each in (port, port + GRPC_OFFSET):
                    sockets.enter_context(closing(socket.socket())).bind(("127.0.0.1", each))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            break
    return found


class FlakyWay(ThreadingHTTPServer):
    """An HTTP proxy before an endpoint. Of every five requests one fails: by turns it is answered with 503, cut off
    before the answer, or cut off in the middle of it. Once `shards` shards have been put, all requests
    are answered with 503; after `accepted` more requests all are told that their credentials have expired."""

    FAIL_EVERY = 5

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.endpoint = endpoint.removeprefix("http://")
        self.requests = self.failures = 0
        self.shards = self.accepted = math.inf
        self._lock = Lock()

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_failure(self, command: str, path: str) -> str:
        """How the request at hand fails; empty if it does not."""
        with self._lock:
            self.requests += 1
            self.accepted -= 1
            if self.accepted < 0:
                return "expired"
            if self.shards <= 0:
                return "503"
            self.shards -= command == "PUT" and path.endswith(".tar")
            if self.requests % self.FAIL_EVERY:
                return ""
            self.failures += 1
            return ("503", "no answer", "half an answer")[self.failures % 3]


@contextmanager
def flaky_way(endpoint: str) -> Iterator[FlakyWay]:
    """The proxy, while it runs."""
    with FlakyWay(endpoint) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FlakyWay

    def handle_one_request(self) -> None:
        """A client may hang up at any time."""
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        failure = self.server.next_failure(self.command, self.path)
        if failure == "503":
            self._answer(503, [("Content-Length", "0")], b"")
            return
        if failure == "expired":
            told = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
            self._answer(400, [("Content-Type", "application/xml"), ("Content-Length", str(len(told)))], told)
            return
        if failure == "no answer":
            self.close_connection = True
            return
        with closing(http.client.HTTPConnection(self.server.endpoint, timeout=60)) as onward:
            onward.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {"connection", "expect"}:
                    onward.putheader(name, value)
            onward.endheaders(body)
            answer = onward.getresponse()
            data = answer.read()
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _OF_THE_CONNECTION]
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
        headers += [("Content-Length", length or "0")] if answer.status != 204 else []
        if failure == "half an answer":
            self.close_connection = True
            data = data[: len(data) // 2]
        self._answer(answer.status, headers, data)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward  # noqa: N815  names that http.server looks for

    def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is http.server's
        """Nothing."""


_OF_THE_CONNECTION = {"connection", "content-length", "keep-alive", "transfer-encoding", "date", "server"}


def upload(folder: Path, uri: str) -> None:
    """Copy a folder into object storage."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda path: write(f"{uri}/{path}", (folder / path).read_bytes()), list_files(folder)))
