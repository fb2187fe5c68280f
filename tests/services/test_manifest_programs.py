"""The programs of infra/kubernetes and infra/images with the options that are written there, on this machine."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
import pytest
from sqlalchemy import make_url

from tests.infra.rendered import KUBERNETES, needs_kubectl, pods
from tests.services.object_storage import free_ports

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = [pytest.mark.services, needs_kubectl]
BIN = Path(sys.executable).parent
START_SECONDS = 180
KEYS = {"AWS_ACCESS_KEY_ID": "maskx", "AWS_SECRET_ACCESS_KEY": "of-the-test"}


@contextmanager
def running(command: Sequence[str | Path], url: str, folder: Path, **environment: str) -> Iterator[None]:
    """A program, from when it answers at the URL."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | environment, stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    try:
        while True:
            try:
                with urlopen(url, timeout=5):
                    break
            except HTTPError:
                break
            except OSError:
                log_text = (folder / "log").read_text()[-3000:]
                assert process.poll() is None and time.monotonic() < deadline, f"it did not start:\n{log_text}"
                time.sleep(0.5)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # with its workers
        process.wait()


def with_port(words: Sequence[str], old: int, new: int) -> list[str]:
    """The options with another port, as one machine has other programs."""
    return [word.replace(str(old), str(new)) for word in words]


def status(url: str, host: str) -> int:
    try:
        with urlopen(Request(url, headers={"Host": host}), timeout=30) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_the_tracking_server_answers_to_its_names_in_the_cluster_and_to_no_other(tmp_path: Path) -> None:
    (container,) = pods("overlays/dev")["mlflow"]["containers"]
    (port,) = free_ports(1)
    program, *options = with_port(container["args"], 5000, port)
    store = {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "MLFLOW_ARTIFACTS_DESTINATION": str(tmp_path),
    }
    url = f"http://127.0.0.1:{port}"
    with running([BIN / program, *options], f"{url}/health", tmp_path, **store):
        search = f"{url}/api/2.0/mlflow/registered-models/search"
        for name in ("mlflow", "mlflow.maskx", "mlflow.maskx.svc.cluster.local", "localhost"):
            assert status(search, f"{name}:{port}") == 200, name
        assert status(search, "elsewhere.example") == 403
        # The kubelet's probes name the pod's address.
        assert status(f"{url}/health", f"10.0.1.2:{port}") == 200


def test_the_databases_driver_is_the_one_that_the_tracking_image_has() -> None:
    (container,) = pods("overlays/dev")["mlflow"]["containers"]
    (uri,) = [each["value"] for each in container["env"] if each["name"] == "MLFLOW_BACKEND_STORE_URI"]
    assert make_url(uri).get_dialect().driver == "psycopg2"


MODEL = """
import mlflow
from mlflow.pyfunc import PythonModel


class Length(PythonModel):
    def predict(self, context, model_input):
        return [len(cell) for cell in model_input["image"]]


mlflow.models.set_model(Length())
"""


def test_the_serving_images_command_serves_a_model(tmp_path: Path) -> None:
    import mlflow

    (tmp_path / "model.py").write_text(MODEL)
    mlflow.pyfunc.save_model(tmp_path / "model", python_model=str(tmp_path / "model.py"), pip_requirements=["mlflow"])
    recipe = (KUBERNETES.parent / "images" / "Dockerfile").read_text(encoding="utf-8")
    (line,) = re.findall(r"^CMD (.*models serve.*)$", recipe, re.MULTILINE)
    (port,) = free_ports(1)
    environment = {"MODEL_URI": str(tmp_path / "model"), "PATH": f"{BIN}:{os.environ['PATH']}"}
    url = f"http://127.0.0.1:{port}"
    with running(with_port(json.loads(line), 8080, port), f"{url}/ping", tmp_path, **environment):
        rows = json.dumps({"dataframe_records": [{"image": "four"}]}).encode()
        request = Request(f"{url}/invocations", rows, {"Content-Type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            assert json.load(answer) == {"predictions": [4]}


def test_the_object_store_takes_the_keys_of_the_secret_and_no_others(tmp_path: Path) -> None:
    (container,) = pods("overlays/dev")["object-store"]["containers"]
    s3, master, volume, filer = free_ports(4)
    options = with_port(container["args"], 8333, s3)
    options += [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"]
    options = [word.replace("-dir=/data", f"-dir={tmp_path}") for word in options]
    url = f"http://127.0.0.1:{s3}"
    with running([BIN / "weed", *options], f"{url}/status", tmp_path, **KEYS):
        ours = client(url, *KEYS.values())
        ours.put_object(Bucket="maskx", Key="mlflow/file", Body=b"content")
        assert ours.get_object(Bucket="maskx", Key="mlflow/file")["Body"].read() == b"content"
        with pytest.raises(ours.exceptions.ClientError, match=r"InvalidAccessKeyId|AccessDenied"):
            client(url, "stranger", "of-nothing").get_object(Bucket="maskx", Key="mlflow/file")


def client(url: str, key: str, secret: str) -> "S3Client":
    return boto3.client(
        "s3", endpoint_url=url, aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1"
    )
