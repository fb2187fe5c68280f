"""What a cluster offers around the pipeline, on this machine: MLflow's server on PostgreSQL, artifacts in an S3 store.

    infra/services/install.sh
    python infra/services/local_services.py

prints the environment with which `maskx` uses them, and stops all of them at Ctrl-C. Everything listens on loopback
only. What they hold stays in `.services/state`, and is there again at the next start.
"""

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from programs import Service, answers, program, start, stop

STATE = Path(__file__).parents[2] / ".services" / "state"
BUCKET, KEY = "maskx", "maskx"
GRPC = 10_000
"""The store's programs listen for gRPC at their ports plus this."""
AS_POSTGRES = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
"""PostgreSQL refuses to run as root; Debian's package makes a user for it."""
QUIET = {
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


def main() -> None:
    """Start everything, print how to use it, and wait for Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, default=STATE, help="folder for all that they hold (.services/state)")
    parser.add_argument("--mlflow-port", type=int, default=5000, help="port of MLflow's server (5000)")
    parser.add_argument("--s3-port", type=int, default=8333, help="first of four ports of the S3 store (8333)")
    options = parser.parse_args()
    check_ports(options.mlflow_port, options.s3_port)
    for each in (signal.SIGINT, signal.SIGTERM):  # the first is ignored where a shell started this with `&`
        signal.signal(each, signal.default_int_handler)
    processes: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="maskx-", ignore_cleanup_errors=True) as sockets:
        try:
            serve(options.state.resolve(), Path(sockets), options.mlflow_port, options.s3_port, processes)
        except KeyboardInterrupt:
            print("stopping; the store takes a quarter of a minute", flush=True)
        finally:
            stop(processes)


def check_ports(mlflow_port: int, s3_port: int) -> None:
    """End the program if somebody listens at a port that is needed."""
    needed = {mlflow_port: "--mlflow-port"}
    needed |= {port + above: "--s3-port" for port in range(s3_port, s3_port + 4) for above in (0, GRPC)}
    for port, option in needed.items():
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                sys.exit(f"local_services: port {port} is taken; choose another with {option}")


def serve(state: Path, sockets: Path, mlflow_port: int, s3_port: int, processes: list[subprocess.Popen[bytes]]) -> None:
    """Start the services, print how to use them, and sleep; adds to `processes` what it starts."""
    state.mkdir(parents=True, exist_ok=True)
    keys = {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{s3_port}",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": secret_key(state),
    }
    start(object_store(state, s3_port, keys), state, processes)
    make_bucket(keys)
    start(postgres(state, sockets), state, processes)
    start(mlflow(mlflow_port, sockets, keys), state, processes)
    print(usage({"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{mlflow_port}", **keys}, state), flush=True)
    while all(process.poll() is None for process in processes):
        time.sleep(0.5)
    sys.exit(f"local_services: a service has ended by itself; its log is in {state}")


def secret_key(state: Path) -> str:
    """The store's secret key, drawn at the first start."""
    file = state / "secret-key"
    file.touch(mode=0o600)
    if not file.read_text(encoding="utf-8"):
        file.write_text(secrets.token_hex(20), encoding="utf-8")
    return file.read_text(encoding="utf-8")


def object_store(state: Path, port: int, keys: Mapping[str, str]) -> Service:
    """SeaweedFS, which takes its keys from the environment."""
    folder = state / "store"
    folder.mkdir(exist_ok=True)
    command = [program("weed"), "server", "-s3", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    ports = zip(("s3", "master", "volume", "filer"), range(port, port + 4), strict=True)
    command += [f"-{name}.port={each}" for name, each in ports]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"]
    command += ["-master.telemetry=false", "-master.volumeSizeLimitMB=256", "-volume.max=200"]
    command += ["-volume.preStopSeconds=0"]  # nobody else needs to hear that it is going to stop
    return Service("store", command, lambda: answers(f"http://127.0.0.1:{port}/status"), keys)


def make_bucket(keys: Mapping[str, str]) -> None:
    """Make the bucket, unless it is there."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=keys["AWS_ENDPOINT_URL_S3"],
        region_name=keys["AWS_REGION"],
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )
    if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=BUCKET)


def postgres(state: Path, sockets: Path) -> Service:
    """PostgreSQL, without a port: at a socket in a folder that its user alone may enter."""
    if AS_POSTGRES:
        shutil.chown(sockets, AS_POSTGRES["user"])
    command = [program("postgres"), "-D", str(database_folder(state)), "-c", "listen_addresses="]
    ready = [program("pg_isready"), "--quiet", f"--host={sockets}", "--username=mlflow", "--dbname=postgres"]
    return Service(
        "postgres",
        [*command, "-c", f"unix_socket_directories={sockets}"],
        lambda: subprocess.run(ready, check=False).returncode == 0,
        as_user=AS_POSTGRES,
    )


def database_folder(state: Path) -> Path:
    """The database's folder, made at the first start. It lets in whoever can reach the socket."""
    folder, partial = state / "postgres", state / "postgres.partial"
    if not folder.exists():
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        if AS_POSTGRES:
            shutil.chown(partial, AS_POSTGRES["user"])
        command = [program("initdb"), f"--pgdata={partial}", "--username=mlflow", "--auth=trust", "--encoding=UTF8"]
        made = subprocess.run(command, cwd="/", check=False, capture_output=True, text=True, **AS_POSTGRES)
        if made.returncode:
            sys.exit(f"local_services: {made.stderr.strip()}\nname a folder that PostgreSQL may enter with --state")
        partial.rename(folder)
    return folder


def mlflow(port: int, sockets: Path, keys: Mapping[str, str]) -> Service:
    """MLflow's server. It alone talks to the database; clients send artifacts to it, and it to the store."""
    command = [program("mlflow"), "server", "--host=127.0.0.1", f"--port={port}", "--workers=1"]
    command += [f"--backend-store-uri=postgresql+psycopg2://mlflow@/postgres?host={sockets}"]
    command += [f"--artifacts-destination=s3://{BUCKET}/mlflow"]
    return Service("mlflow", command, lambda: answers(f"http://127.0.0.1:{port}/health"), {**QUIET, **keys})


def usage(environment: Mapping[str, str], state: Path) -> str:
    """What to type in another terminal. The secret key is read where it stands, so that it is on no screen."""
    shown = {**environment, "AWS_SECRET_ACCESS_KEY": f'"$(cat {state / "secret-key"})"'}
    lines = [f"export {name}={value}" for name, value in shown.items()]
    lines += [
        "",
        f"maskx pipeline run --preset toy --out runs/services --root s3://{BUCKET}/runs/first",
        "maskx predict models:/maskx@champion IMAGE --out runs/predicted",
        "",
        f"{environment['MLFLOW_TRACKING_URI']} shows runs and models. Ctrl-C stops all of it; {state} stays.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
