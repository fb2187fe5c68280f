"""Nodes without kubelets: pods that are placed on them run as processes of this machine."""

import re
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kubernetes import client, config, watch
from urllib3.exceptions import HTTPError

from tests.cluster.cluster import Cluster
from tests.cluster.pod import ADDRESS, Pod


class Nodes:
    """Follows the pods of a cluster; `images` says what an image's name brings: environment variables."""

    def __init__(self, cluster: Cluster, images: Mapping[str, dict[str, str]]) -> None:
        self.api = client.CoreV1Api(config.new_client_from_config(str(cluster.kubeconfig())))
        self.folder = cluster.folder / "pods"
        self.folder.mkdir()
        self.hosts = cluster.folder / "hosts"
        self.hosts.write_text(f"{ADDRESS} localhost\n")
        # What every container finds the API server by.
        self.images = {
            name: image | {"KUBERNETES_SERVICE_HOST": ADDRESS, "KUBERNETES_SERVICE_PORT": str(cluster.port)}
            for name, image in images.items()
        }
        self.pods: dict[str, Pod] = {}
        self.logs = _LogServer(self, cluster.certificate)
        self.watch = watch.Watch()
        for target in (self.logs.serve_forever, self._follow):
            threading.Thread(target=target, daemon=True).start()

    def add(self, name: str, labels: Mapping[str, str], taints: list[dict[str, str]], gpus: int) -> None:
        """Make a node that is ready."""
        meta = {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"} | dict(labels)}
        self.api.create_node({"metadata": meta, "spec": {"taints": taints}})
        room = {"cpu": "32", "memory": "128Gi", "pods": "50", "ephemeral-storage": "500Gi", "nvidia.com/gpu": str(gpus)}
        status = {
            "capacity": room,
            "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Tests"}],
            "addresses": [{"type": "InternalIP", "address": ADDRESS}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.logs.server_port}},
        }
        self.api.patch_node_status(name, {"status": status})

    def find(self, namespace: str, name: str) -> Pod:
        """The newest pod of that name."""
        return [pod for pod in self.pods.values() if (pod.namespace, pod.name) == (namespace, name)][-1]

    def close(self) -> None:
        """End all pods."""
        self.watch.stop()
        self.logs.shutdown()
        for pod in self.pods.values():
            pod.stop(0)

    def _follow(self) -> None:
        with suppress(HTTPError):  # the API server has ended
            for event in self.watch.stream(self.api.list_pod_for_all_namespaces):
                pod, meta = event["raw_object"], event["raw_object"]["metadata"]
                if event["type"] == "DELETED":
                    self._stop(meta["uid"], 0)
                elif "deletionTimestamp" in meta:
                    self._stop(meta["uid"], meta["deletionGracePeriodSeconds"])
                elif "nodeName" in pod["spec"] and meta["uid"] not in self.pods:
                    self._start(pod)

    def _start(self, pod: dict[str, Any]) -> None:
        meta, spec = pod["metadata"], pod["spec"]
        if "subdomain" in spec:  # a headless service gives such a pod a name
            with self.hosts.open("a") as hosts:
                name = f"{spec['hostname']}.{spec.get('subdomain', '')}"
                hosts.write(
                    f"{ADDRESS} {name} {name}.{meta['namespace']}.svc {name}.{meta['namespace']}.svc.cluster.local\n"
                )
        image = self.images.get(spec["containers"][0]["image"])
        self.pods[meta["uid"]] = Pod(pod, self.api, self.folder / meta["uid"], image, self.hosts)

    def _stop(self, uid: str, grace_seconds: float) -> None:
        if uid in self.pods:
            threading.Thread(target=self.pods[uid].stop, args=[grace_seconds], daemon=True).start()


@contextmanager
def nodes(cluster: Cluster, images: Mapping[str, dict[str, str]]) -> Iterator[Nodes]:
    """Follow the pods of a cluster, and end them all."""
    followed = Nodes(cluster, images)
    try:
        yield followed
    finally:
        followed.close()


class _LogServer(ThreadingHTTPServer):
    """What `kubectl logs` reaches through the API server: a kubelet's page of a container's log."""

    daemon_threads = True

    def __init__(self, nodes: Nodes, certificate: Path) -> None:
        super().__init__((ADDRESS, 0), _LogHandler)
        self.nodes = nodes
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        self.socket = context.wrap_socket(self.socket, server_side=True)


class _LogHandler(BaseHTTPRequestHandler):
    server: _LogServer

    def do_GET(self) -> None:
        """Write the log; with `follow`, until the container has ended."""
        namespace, name = re.findall(r"^/containerLogs/([^/]+)/([^/]+)/", self.path)[0]
        pod = self.server.nodes.find(namespace, name)
        self.send_response(200)
        self.end_headers()
        with pod.log.open("rb") as log:
            while True:
                last = "follow=true" not in self.path or pod.ended.is_set()
                self.wfile.write(log.read())
                if last:
                    return
                time.sleep(0.1)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is http.server's
        """Nothing."""
