"""A Flink cluster on this machine: a job manager, and two task managers that start Beam's Python workers.

    infra/flink/install.sh
    python infra/flink/local_cluster.py

prints the options with which `maskx data prepare` runs on it, and stops all of it at Ctrl-C. The output of its
processes goes to files in a folder that is removed at the end.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

SERVICES = Path(__file__).parents[2] / ".services"
WORKER = Path(__file__).with_name("worker.py")
JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
SECONDS_TO_START = 90

SETTINGS = {
    "jobmanager.rpc.address": "localhost",
    "jobmanager.bind-host": "localhost",
    "rest.address": "localhost",
    "rest.bind-address": "localhost",
    "taskmanager.host": "localhost",
    "taskmanager.bind-host": "localhost",
    "taskmanager.numberOfTaskSlots": "1",
    # A task manager of about 1 GB; Flink's own scripts work this out from the machine's size. Beam's graph has many
    # exchanges at once: with 64 MB for the network, tasks fail for want of buffers.
    "taskmanager.cpu.cores": "1",
    "taskmanager.memory.framework.heap.size": "128mb",
    "taskmanager.memory.framework.off-heap.size": "64mb",
    "taskmanager.memory.task.heap.size": "256mb",
    "taskmanager.memory.task.off-heap.size": "64mb",
    "taskmanager.memory.managed.size": "64mb",
    "taskmanager.memory.network.min": "192mb",
    "taskmanager.memory.network.max": "192mb",
    "taskmanager.memory.jvm-metaspace.size": "160mb",
    "taskmanager.memory.jvm-overhead.min": "64mb",
    "taskmanager.memory.jvm-overhead.max": "64mb",
    # A task that fails, with a worker that was killed for example, is tried again.
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": "10",
    "restart-strategy.fixed-delay.delay": "2 s",
    "heartbeat.interval": "2000",
    "heartbeat.timeout": "20000",
}
# Flink's serializers reach into these packages of java.base, which Java 17 allows only when asked.
OPENED = ("lang", "lang.reflect", "net", "nio", "text", "time", "util", "util.concurrent", "util.concurrent.atomic")


def main() -> None:
    """Start everything, print how to use it, and wait for Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task-managers", type=int, default=2, help="how many, each with one slot (2)")
    task_managers: int = parser.parse_args().task_managers
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    processes: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="maskx-flink-", ignore_cleanup_errors=True) as name:
        try:
            serve(Path(name), task_managers, processes)
        except KeyboardInterrupt:
            print("stopping", flush=True)
        finally:
            stop(processes)


def serve(folder: Path, task_managers: int, processes: list[subprocess.Popen[bytes]]) -> None:
    """Start the cluster, print its options, and sleep; adds to `processes` what it starts."""
    (job_server,) = find(SERVICES, "flink-job-server.jar")
    rest, rpc = free_port(), free_port()
    settings = {**SETTINGS, "rest.port": rest, "jobmanager.rpc.port": rpc, "io.tmp.dirs": folder}
    (folder / "config.yaml").write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
    for name, command in commands(folder, task_managers).items():
        processes.append(start(folder, name, command))
    wait_for_task_managers(f"http://localhost:{rest}/overview", task_managers, processes, folder)
    options = {
        "flink_master": f"localhost:{rest}",
        "flink_version": "1.19",
        "flink_job_server_jar": job_server,
        "parallelism": task_managers,
        "environment_type": "PROCESS",
        "environment_config": json.dumps({"command": str(WORKER)}),
    }
    print(f"job manager: http://localhost:{rest}\nlog files: {folder}")
    words = [word for key, value in options.items() for word in ("--beam", f"{key}={value}")]
    print(shlex.join(["--runner", "FlinkRunner", *words]), flush=True)
    while True:
        time.sleep(3600)


def find(folder: Path, pattern: str) -> list[Path]:
    """Files that `install.sh` puts there."""
    return sorted(folder.glob(pattern)) or sys.exit(f"local_cluster: no {folder / pattern}; run infra/flink/install.sh")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def commands(folder: Path, task_managers: int) -> dict[str, list[str]]:
    """The cluster's processes: name → command line."""
    java = shutil.which("java") or sys.exit("local_cluster: no java on PATH; Flink 1.19 needs Java 11 or 17")
    jars = ":".join(map(str, find(SERVICES, "flink-*/pyflink/lib/*.jar")))
    jvm = [java, "-Xmx512m", "-Dorg.apache.logging.log4j.level=INFO", "-cp", jars]
    jvm += [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in OPENED]
    configuration = ["--configDir", str(folder)]
    found = {
        "job-manager": [*jvm, JOB_MANAGER, *configuration, "--executionMode", "cluster"],
    }
    for number in range(1, task_managers + 1):
        name = f"task-manager-{number}"
        found[name] = [*jvm, TASK_MANAGER, *configuration, "-D", f"taskmanager.resource-id={name}"]
    return found


def start(folder: Path, name: str, command: list[str]) -> subprocess.Popen[bytes]:
    """Start a process whose output goes to a file of its name; workers find this Python first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PATH": path}, cwd=folder)


def wait_for_task_managers(overview: str, wanted: int, processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
    """Return when the job manager knows all task managers; end the program if that takes too long."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and all(process.poll() is None for process in processes):
        try:
            with urllib.request.urlopen(overview, timeout=5) as answer:
                if f'"taskmanagers":{wanted},' in answer.read().decode():
                    return
        except OSError:  # nobody listens yet
            pass
        time.sleep(0.2)
    for log in sorted(folder.glob("*.log")):
        print(f"== {log.name}\n{log.read_text()[-2000:]}", file=sys.stderr)
    sys.exit("local_cluster: Flink did not start; the ends of its logs are above")


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End all processes; a task manager ends the workers that it started."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
