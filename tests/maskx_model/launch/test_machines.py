"""What a step's machine has, as Kubernetes writes it."""

import os

import pytest

from maskx_model.launch.machines import processes_on, quantity

CORES = os.cpu_count() or 1


@pytest.mark.parametrize(("cpu", "expected"), [("500m", 1), ("1", 1), ("8", min(8, CORES)), ("1e1", min(10, CORES))])
def test_processes_keep_the_cpus_busy_that_are_there(cpu: str, expected: int) -> None:
    assert processes_on(cpu) == expected


@pytest.mark.parametrize(("text", "expected"), [("500m", 0.5), ("16Gi", 16 * 2**30), ("2k", 2000)])
def test_a_quantity_is_its_number(text: str, expected: float) -> None:
    assert quantity(text) == expected
