"""`maskx pipeline submit`."""

from typing import Annotated

from data_prep.arguments import Grouped, optional
from pipelines.commands.server_options import Parameters, ServerOptions
from pipelines.our_packages import check_packages
from pipelines.pipeline_names import PipelineName


def submit_pipeline(
    parameters: Parameters = (),
    *,
    parameters_file: Annotated[str | None, optional("FILE|URI", "no file")] = None,
    pipeline: PipelineName = "maskx_vg3000",
    image: Annotated[str | None, optional("IMAGE", "maskx with this version's tag")] = None,
    run_name: Annotated[str | None, optional("NAME", "the pipeline's name and its version")] = None,
    server: Grouped[ServerOptions],
) -> None:
    """Run the pipeline on Kubeflow Pipelines: compile it, upload it as a version, start a run, and say where to look.

    The same pipeline and image are uploaded once.

    Args:
        parameters: Parameters of the pipeline, such as root=s3://bucket/run. Texts are taken as they are; lists and
            objects are YAML. They go before the file.
        parameters_file: YAML with a line for each parameter, NAME: VALUE.
        pipeline: The product, the study of the paper's tables and Figure 3 on COCO, or batch prediction.
        image: Your container image (infra/images/Dockerfile), best with its digest: REGISTRY/maskx@sha256:…
        run_name: What the run is called.

    Example:
        maskx pipeline submit --host http://localhost:8888 --parameters-file run.yaml root=/data/runs/first
    """
    check_packages()
    import yaml

    from components.image import IMAGE
    from pipelines.compiling import compiled
    from pipelines.parameters import parameters_of
    from pipelines.server import connected, run_page
    from pipelines.submitting import submit, upload

    package = compiled(image or IMAGE, pipeline=pipeline)
    spec = next(yaml.safe_load_all(package))
    values = parameters_of(spec, parameters_file, parameters)
    with connected(server.host, server.namespace, server.token_file) as client:
        uploaded = upload(client, package)
        name = run_name or f"{spec['pipelineInfo']['name']} {uploaded.name}"
        run_id = submit(client, uploaded, server.experiment, name, values, server.service_account)
    print(f"run {run_id} of version {uploaded.name}\n{run_page(server.host, run_id)}")
