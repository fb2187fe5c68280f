"""What Kubernetes takes as a size, a label and a toleration, and what it would refuse when the step begins."""

from typing import Any

import pytest

from maskx_model.preflight.findings import Findings
from maskx_model.preflight.pods import check_pods


def problems(**parameters: Any) -> list[str]:
    findings = Findings()
    assert check_pods(parameters, findings) == (not findings.problems)
    return findings.problems


@pytest.mark.parametrize("size", ["64Gi", "64G", "0.5Gi", "1.Ti", ".5T", "900M", "2Ei", "64e9", "68719476736"])
def test_sizes_of_memory(size: str) -> None:
    assert problems(detector_memory=size) == []


@pytest.mark.parametrize("size", ["8", "0.5", "500m", "1e1", ".5", "2k"])
def test_numbers_of_cpus(size: str) -> None:
    assert problems(cpu=size) == []


@pytest.mark.parametrize(
    "size", ["64GB", "64 Gi", "64gi", "64K", "", "-1Gi", "64", "64m", "1E3k", "1_000Gi", "٦٤Gi", 64, None]
)
def test_what_is_no_size_of_memory_is_told_with_the_parameter(size: Any) -> None:
    assert problems(memory=size) == [f"memory {size!r}: write a size as Kubernetes does, such as 16Gi"]


@pytest.mark.parametrize("size", ["eight", "8 CPUs", "", "-1", "8c", 8])
def test_what_is_no_number_of_cpus_is_told_with_the_parameter(size: Any) -> None:
    (line,) = problems(masks_cpu=size)
    assert line.startswith(f"masks_cpu {size!r}: write CPUs as Kubernetes does")


def test_labels_are_text_and_each_that_is_not_has_a_line() -> None:
    assert problems(gpu_node_selector={"pool": "gpu", "maskx/spot": "true"}) == []
    found = problems(gpu_node_selector={"pool": "gpu", "maskx/spot": True, "zone": 1})
    assert found == [
        f"gpu_node_selector {each}: labels are text; put it in quotes" for each in ("maskx/spot: True", "zone: 1")
    ]


@pytest.mark.parametrize(
    "toleration",
    [
        {"operator": "Exists"},
        {"key": "gpu"},
        {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"},
        {"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300.0},
    ],
)
def test_tolerations_as_kubernetes_takes_them(toleration: dict[str, Any]) -> None:
    assert problems(gpu_tolerations=[toleration]) == []


@pytest.mark.parametrize(
    ("toleration", "message"),
    [
        ({"key": "gpu", "value": True}, "value is text; put it in quotes"),
        ({"key": "gpu", "operater": "Exists"}, "there is no field operater"),
        ({"key": "gpu", "operator": "exists"}, "operator is one of Equal, Exists"),
        ({"key": "gpu", "effect": "NoStart"}, "effect is one of NoSchedule, PreferNoSchedule, NoExecute"),
        ({"key": "gpu", "operator": "Exists", "value": "yes"}, "operator Exists takes no value"),
        ({"value": "yes"}, "without a key the operator is Exists"),
        ({"key": "gpu", "tolerationSeconds": 300}, "tolerationSeconds is a whole number, for effect NoExecute alone"),
        ({"key": "gpu", "effect": "NoExecute", "tolerationSeconds": "5"}, "tolerationSeconds is a whole number"),
        ("gpu", "write an object, such as {key: nvidia.com/gpu"),
    ],
)
def test_a_wrong_toleration_is_told(toleration: Any, message: str) -> None:
    (line,) = problems(gpu_tolerations=[{"operator": "Exists"}, toleration])
    assert line.startswith(f"gpu_tolerations {toleration!r}: ")
    assert message in line


def test_other_parameters_pass() -> None:
    assert problems(root="s3://bucket", light_cpu="1", accelerator_type="nvidia.com/gpu") == []
