"""Kubernetes' control plane on the loopback: etcd, API server, scheduler, controller manager."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.cluster.cluster import ADMINISTRATOR, INSTALLED, Cluster
from tests.services.object_storage import free_ports

PROGRAMS = INSTALLED / "bin"


@contextmanager
def control_plane(folder: Path) -> Iterator[Cluster]:
    """Start a cluster that has no nodes, with its data in an empty folder, and stop it."""
    etcd, peers, port = free_ports(3)
    cluster = Cluster(folder, port)
    try:
        start_etcd(cluster, etcd, peers)
        start_api_server(cluster, etcd)
        start_controllers(cluster)
        yield cluster
    finally:
        cluster.stop()


def start_etcd(cluster: Cluster, port: int, peers: int) -> None:
    """Start the database of all objects."""
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peers}"
    options = [f"--data-dir={cluster.folder}/etcd", "--unsafe-no-fsync", f"--initial-cluster=default={peer}"]
    options += [f"--listen-client-urls={client}", f"--advertise-client-urls={client}"]
    options += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"]
    cluster.start("etcd", [PROGRAMS / "etcd", *options])


def start_api_server(cluster: Cluster, etcd: int) -> None:
    """Start it with the rules of an ordinary cluster (RBAC, pod security, quotas), and wait until it answers.

    It makes its own certificate.
    """
    key = rsa.generate_private_key(65537, 2048)
    (cluster.folder / "accounts.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    (cluster.folder / "tokens.csv").write_text(f"{ADMINISTRATOR},administrator,1,system:masters\n")
    options = [f"--etcd-servers=http://127.0.0.1:{etcd}", f"--secure-port={cluster.port}"]
    options += ["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"]
    options += [f"--cert-dir={cluster.certificate.parent}", f"--token-auth-file={cluster.folder}/tokens.csv"]
    options += ["--service-account-issuer=https://kubernetes.default.svc", "--authorization-mode=RBAC"]
    options += [f"--service-account-{kind}-file={cluster.folder}/accounts.key" for kind in ("key", "signing-key")]
    options += ["--service-cluster-ip-range=10.96.0.0/16", "--kubelet-preferred-address-types=InternalIP"]
    # Nobody here finds out whether a node is ready: it is when it says so.
    options += ["--disable-admission-plugins=TaintNodesByCondition"]
    cluster.start("kube-apiserver", [PROGRAMS / "kube-apiserver", *options])
    cluster.wait_for(
        "an answer of the API server", lambda: cluster.kubectl("get", "--raw=/readyz", check=False).returncode == 0
    )


def start_controllers(cluster: Cluster) -> None:
    """Start what places pods on nodes, and what makes pods of Deployments, Jobs and the like."""
    options = [f"--kubeconfig={cluster.kubeconfig()}", "--leader-elect=false", "--secure-port=0"]
    cluster.start("kube-scheduler", [PROGRAMS / "kube-scheduler", *options])
    options += [f"--service-account-private-key-file={cluster.folder}/accounts.key"]
    options += [f"--root-ca-file={cluster.certificate}", "--controllers=*,-node-lifecycle-controller"]
    cluster.start("kube-controller-manager", [PROGRAMS / "kube-controller-manager", *options])
