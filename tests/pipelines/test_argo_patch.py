"""The patch under infra/argo: what a cluster's Argo is told about retries."""

from importlib.util import find_spec
from pathlib import Path

import yaml

from maskx_model.launch.runtime import STEP
from pipelines.pods import RETRIES

ARGO = Path(__file__).parents[2] / "infra" / "argo"


def test_both_kinds_of_failure_are_tried_again_with_time_for_a_checkpoint() -> None:
    patch = yaml.safe_load((ARGO / "retry-policy.yaml").read_text(encoding="utf-8"))
    assert (patch["kind"], patch["metadata"]["name"]) == ("ConfigMap", "workflow-controller-configmap")
    defaults = yaml.safe_load(patch["data"]["workflowDefaults"])["spec"]
    assert defaults["templateDefaults"]["retryStrategy"]["retryPolicy"] == "Always"
    assert int(defaults["templateDefaults"]["retryStrategy"]["limit"]) < RETRIES
    pod = yaml.safe_load(defaults["podSpecPatch"])
    assert pod["terminationGracePeriodSeconds"] > 60
    (step,) = pod["containers"]
    assert step["name"] == STEP
    python, as_module, module = step["lifecycle"]["preStop"]["exec"]["command"]
    assert (python, as_module) == ("python", "-m")
    assert find_spec(module) is not None


def test_the_kustomization_names_the_patch() -> None:
    kustomization = yaml.safe_load((ARGO / "kustomization.yaml").read_text(encoding="utf-8"))
    assert [each["path"] for each in kustomization["patches"]] == ["retry-policy.yaml"]
