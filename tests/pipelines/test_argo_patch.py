"""The patch under infra/argo: what a cluster's Argo is told about retries."""

from pathlib import Path

import yaml

from pipelines.pods import RETRIES

ARGO = Path(__file__).parents[2] / "infra" / "argo"


def test_both_kinds_of_failure_are_tried_again_with_time_for_a_checkpoint() -> None:
    patch = yaml.safe_load((ARGO / "retry-policy.yaml").read_text(encoding="utf-8"))
    assert (patch["kind"], patch["metadata"]["name"]) == ("ConfigMap", "workflow-controller-configmap")
    defaults = yaml.safe_load(patch["data"]["workflowDefaults"])["spec"]
    assert defaults["templateDefaults"]["retryStrategy"]["retryPolicy"] == "Always"
    assert int(defaults["templateDefaults"]["retryStrategy"]["limit"]) < RETRIES
    assert yaml.safe_load(defaults["podSpecPatch"])["terminationGracePeriodSeconds"] > 60


def test_the_kustomization_names_the_patch() -> None:
    kustomization = yaml.safe_load((ARGO / "kustomization.yaml").read_text(encoding="utf-8"))
    assert [each["path"] for each in kustomization["patches"]] == ["retry-policy.yaml"]
