"""The Terraform files: parsed, formatted, whole in their references, and holding to what infra/kubernetes counts on.

`terraform validate` needs the AWS provider, which is not in any package registry; nothing is planned or applied here.
"""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from tests.infra.rendered import KUBERNETES

AWS = Path(__file__).parents[2] / "infra" / "aws"
FILES = sorted(AWS.glob("*.tf"))
GPU = KUBERNETES / "overlays" / "gpu"
PIPELINES = AWS.parents[1] / "pipelines"
SIZES = {"m7i.4xlarge": (16, 64), "g5.4xlarge": (16, 64), "g6.4xlarge": (16, 64)}
"""Kind of machine → CPUs and GiB of memory, as AWS lists them."""


@cache
def parsed(file: Path) -> dict[str, Any]:
    """The blocks of one file by kind."""
    return dict(_plain(hcl2.loads(file.read_text(encoding="utf-8"))))


@cache
def blocks(kind: str) -> dict[str, dict[str, Any]]:
    """Address → body of every block of a kind, such as `aws_vpc.this` of the resources."""
    found: dict[str, dict[str, Any]] = {}
    for file in FILES:
        for block in parsed(file).get(kind, []):
            for first, body in block.items():
                if kind in ("resource", "data"):
                    found |= {f"{first}.{name}": each for name, each in body.items()}
                else:
                    found[first] = body
    return found


def _plain(value: Any) -> Any:
    """The parser's result without the quotation marks that it keeps around texts."""
    if isinstance(value, dict):
        return {_plain(key): _plain(each) for key, each in value.items() if not str(key).startswith("__")}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.strip('"') if isinstance(value, str) else value


def test_every_file_is_laid_out_as_terraform_does() -> None:
    if shutil.which("terraform") is None:
        pytest.skip("needs terraform")
    done = subprocess.run(["terraform", "fmt", "-check", "-diff", AWS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_everything_that_is_referred_to_is_declared(file: Path) -> None:
    text = re.sub(r"^\s*#.*$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    declared = blocks("resource").keys() | {f"data.{name}" for name in blocks("data")}
    for name in re.findall(r"(?<![\w.\"/])((?:data\.)?(?:aws|tls)_\w+\.\w+)", text):
        assert name in declared, name
    for name in re.findall(r"\bvar\.(\w+)", text):
        assert name in blocks("variable"), name
    locals_ = {name for each in FILES for block in _locals(each) for name in block}
    for name in re.findall(r"\blocal\.(\w+)", text):
        assert name in locals_, name


def _locals(file: Path) -> list[dict[str, Any]]:
    return list(parsed(file).get("locals", []))


def test_every_variable_and_output_says_what_it_is() -> None:
    for name, body in {**blocks("variable"), **blocks("output")}.items():
        assert str(body["description"]).endswith((".", "].")), name


def test_every_variable_is_used() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in FILES)
    for name in blocks("variable"):
        assert f"var.{name}" in text, name


def test_the_bucket_is_private_encrypted_versioned_and_cleans_up() -> None:
    resources = blocks("resource")
    closed = resources["aws_s3_bucket_public_access_block.this"]
    assert [name for name, value in closed.items() if value is True] == [
        "block_public_acls",
        "block_public_policy",
        "ignore_public_acls",
        "restrict_public_buckets",
    ]
    assert "AES256" in str(resources["aws_s3_bucket_server_side_encryption_configuration.this"])
    assert "Enabled" in str(resources["aws_s3_bucket_versioning.this"])
    rules = {rule["id"]: rule for rule in resources["aws_s3_bucket_lifecycle_configuration.this"]["rule"]}
    assert all(rule["status"] == "Enabled" for rule in rules.values())
    (unfinished,) = rules["unfinished-uploads"]["abort_incomplete_multipart_upload"]
    assert unfinished["days_after_initiation"] == "${var.keep_unfinished_days}"
    assert "noncurrent_version_expiration" in rules["replaced-objects"]


def test_pools_with_gpus_or_spot_nodes_start_from_zero() -> None:
    pools = blocks("variable")["pools"]["default"]
    assert set(pools) == {"cpu", "gpu", "gpu-spot"}
    for name, pool in pools.items():
        assert (pool["smallest"] == 0) == name.startswith("gpu")
        assert bool(pool.get("gpu")) == name.startswith("gpu")
        assert bool(pool.get("spot")) == name.endswith("spot")


@pytest.mark.parametrize("pipeline", ["maskx_vg3000", "coco_split_study", "maskx_predict"])
def test_what_a_step_asks_for_by_default_fits_on_any_node(pipeline: str) -> None:
    """Kubernetes keeps a part of each node for itself: some GiB, and less than half a CPU."""
    kinds = {kind for pool in blocks("variable")["pools"]["default"].values() for kind in pool["instance_types"]}
    cpus = min(SIZES[kind][0] for kind in kinds) - 1
    gibibytes = 0.9 * min(SIZES[kind][1] for kind in kinds)
    spec = next(yaml.safe_load_all((PIPELINES / f"{pipeline}.yaml").read_text(encoding="utf-8")))
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    asked = {name: each["defaultValue"] for name, each in parameters.items() if name.endswith(("cpu", "memory"))}
    assert asked
    for name, size in asked.items():
        if name.endswith("cpu"):
            assert int(size) <= cpus, name
        else:
            assert int(size.removesuffix("Gi")) <= gibibytes, name


@pytest.mark.parametrize("overlay", ["gpu", "spot"])
def test_runs_choose_a_pool_and_tolerate_its_taints(overlay: str) -> None:
    run = yaml.safe_load((KUBERNETES / "overlays" / overlay / "run.yaml").read_text(encoding="utf-8"))
    pool = blocks("variable")["pools"]["default"][run["gpu_node_selector"]["maskx/pool"]]
    tolerated = {each["key"] for each in run["gpu_tolerations"]}
    assert tolerated == {"nvidia.com/gpu"} | ({"maskx/spot"} if pool.get("spot") else set())
    text = (AWS / "pools.tf").read_text(encoding="utf-8")
    assert '"maskx/pool" = each.key' in text
    assert set(re.findall(r'^ +key += "(nvidia.com/gpu|maskx/spot)"', text, re.MULTILINE)) >= tolerated


def test_roles_are_those_that_the_accounts_name_and_no_policy_grants_everything() -> None:
    accounts = next(block for block in _locals(AWS / "roles.tf"))["service_accounts"]
    named = set(re.findall(r"role/(maskx-\w+)", (GPU / "kustomization.yaml").read_text(encoding="utf-8")))
    assert named == {name for name in accounts if name.startswith("maskx-")}
    assert accounts["maskx-step"] == "kubeflow:maskx-step"
    assert accounts["maskx-mlflow"] == "maskx:mlflow"
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        for actions in re.findall(r"^ +actions += \[(.*?)\]", text, re.DOTALL | re.MULTILINE):
            assert '"*"' not in actions
            assert '"s3:*"' not in actions or file.name == "storage.tf"  # there it is denied


def test_what_the_overlay_leaves_open_is_an_output() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in GPU.rglob("*.yaml"))
    wanted = {word for word in ("ACCOUNT", "BUCKET", "REGION", "REGISTRY", "FILESYSTEM") if word in text}
    described = " ".join(str(body["description"]) for body in blocks("output").values())
    assert wanted == {word for word in ("ACCOUNT", "BUCKET", "REGION", "REGISTRY", "FILESYSTEM") if word in described}
