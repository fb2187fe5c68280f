#!/usr/bin/env python3
"""A Python worker of Beam's that a Flink task manager starts on its own machine (`environment_type=PROCESS`).

`python3` on the task manager's PATH must be one that has maskx installed.
"""

import argparse

import grpc
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
from apache_beam.runners.worker.sdk_worker import SdkHarness


def main() -> None:
    """Ask the task manager where it wants to be answered, and work for it until it hangs up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--id", required=True)
    parser.add_argument("--provision_endpoint", required=True)
    arguments, _ = parser.parse_known_args()
    with grpc.insecure_channel(arguments.provision_endpoint) as channel:
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        answer = service.GetProvisionInfo(request, metadata=[("worker_id", arguments.id)], timeout=60)
    SdkHarness(answer.info.control_endpoint.url, worker_id=arguments.id).run()


if __name__ == "__main__":
    main()
