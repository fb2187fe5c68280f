"""The manifests of infra/, applied to a real API server as the guide says."""

import pytest

from tests.cluster.cluster import Cluster
from tests.infra.rendered import CLUSTERS, KUBERNETES

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("folder", CLUSTERS)
def test_an_overlay_is_applied_whole_and_deleted_whole(cluster: Cluster, folder: str) -> None:
    path = KUBERNETES / folder
    cluster.kubectl("apply", "--kustomize", path)
    assert cluster.kubectl("diff", "--kustomize", path).stdout == ""
    cluster.kubectl("delete", "--kustomize", path)
    assert cluster.kubectl("get", "--kustomize", path, "--ignore-not-found").stdout == ""


@pytest.mark.parametrize("overlay", ["gpu", "spot"], indirect=True)
def test_serving_is_placed_on_the_nodes_of_its_pool(cluster: Cluster, overlay: str) -> None:
    path = KUBERNETES / "overlays" / overlay / "serving"
    cluster.kubectl("apply", "--kustomize", path)
    nodes = cluster.wait_for("a node for each copy", lambda: placed(cluster, "app=serving"))
    assert nodes == {"gpu": ["gpu-0"], "spot": ["spot-0", "spot-1"]}[overlay]


def placed(cluster: Cluster, label: str) -> list[str]:
    """The nodes of the pods with a label, once all have one."""
    nodes = [pod["spec"].get("nodeName", "") for pod in cluster.get("pods", "--namespace=maskx", f"--selector={label}")]
    return sorted(nodes) if all(nodes) else []
