"""JobSet and Kubeflow Trainer of the manifests that they ship; their controllers are processes instead of pods."""

import base64
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

from tests.cluster.cluster import INSTALLED, Cluster, as_list
from tests.cluster.isolated import isolated
from tests.services.object_storage import free_ports

PROGRAMS = INSTALLED / "bin"
CERTIFICATE = "/tmp/k8s-webhook-server/serving-certs"
"""Where both expect the certificate that they have made and put into a secret."""


def install_jobset(cluster: Cluster) -> None:
    """Install what runs groups of Jobs."""
    webhooks, health = free_ports(2)
    configuration = {
        "apiVersion": "config.jobset.x-k8s.io/v1alpha1",
        "kind": "Configuration",
        "webhook": {"port": webhooks, "host": "127.0.0.1"},
        "health": {"healthProbeBindAddress": f"127.0.0.1:{health}"},
        "metrics": {"bindAddress": "0"},
        "leaderElection": {"leaderElect": False},
    }
    path = cluster.folder / "jobset.yaml"
    path.write_text(yaml.safe_dump(configuration))
    _apply(cluster, INSTALLED / "jobset" / "default", webhooks)
    _start(cluster, "jobset", [f"--config={path}"], "jobset-system/jobset-webhook-server-cert", health)


def install_trainer(cluster: Cluster) -> None:
    """Install what makes JobSets of TrainJobs, and its runtimes."""
    webhooks, health = free_ports(2)
    _apply(cluster, INSTALLED / "trainer" / "overlays" / "manager", webhooks)
    options = [f"--webhook-server-port={webhooks}", f"--health-probe-bind-address=127.0.0.1:{health}"]
    secret = "kubeflow-system/kubeflow-trainer-webhook-cert"
    _start(cluster, "trainer-controller-manager", options, secret, health)
    cluster.kubectl("apply", "--server-side", "--kustomize", INSTALLED / "trainer" / "overlays" / "runtimes")


def _apply(cluster: Cluster, folder: Path, port: int) -> None:
    """Apply a folder's manifests; the API server is to find webhooks at a port of this machine."""
    made = cluster.kubectl("kustomize", folder).stdout
    manifests = yaml.load_all(made, yaml.CSafeLoader)  # of 33,000 lines
    objects = [_on_this_machine(each, port) for each in manifests if each["kind"] != "Deployment"]
    cluster.kubectl("apply", "--server-side", "--filename=-", given=as_list(objects))
    cluster.kubectl("wait", "crd", "--all", "--for=condition=Established")


def _on_this_machine(manifest: dict[str, Any], port: int) -> dict[str, Any]:
    if manifest["kind"] == "Service":
        return manifest | {"spec": {"type": "ExternalName", "externalName": "localhost"}}
    for webhook in manifest.get("webhooks", []):
        webhook["clientConfig"]["service"]["port"] = port
    return manifest


def _start(cluster: Cluster, program: str, options: list[str], secret: str, health: int) -> None:
    """Start a controller, mount the secret with the certificate that it makes, and wait until it is ready."""
    folder = cluster.folder / f"{program}-certificate"
    folder.mkdir()
    cluster.start(program, isolated([str(PROGRAMS / program), *options], {CERTIFICATE: folder}))
    namespace, _, name = secret.partition("/")
    made = cluster.wait_for(
        f"the certificate of {program}", lambda: cluster.get("secret", name, f"--namespace={namespace}").get("data")
    )
    for file, contents in made.items():
        (folder / file).write_bytes(base64.b64decode(contents))
    cluster.wait_for(f"the readiness of {program}", lambda: _answers(f"http://127.0.0.1:{health}/readyz"))


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except OSError:
        return False
