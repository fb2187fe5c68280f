"""`maskx pipeline compile`."""

from pathlib import Path
from typing import Annotated

from data_prep.arguments import optional
from data_prep.storage.storage import write
from pipelines.our_packages import check_packages
from pipelines.pipeline_names import PipelineName


def compile_pipeline(
    out: Annotated[Path | None, optional("FILE", "the pipeline's name, .yaml")] = None,
    pipeline: PipelineName = "maskx_vg3000",
    image: Annotated[str | None, optional("IMAGE", "maskx with this version's tag")] = None,
    shared_memory: Annotated[str | None, optional("SIZE", "16Gi")] = None,
    scratch: Annotated[str | None, optional("SIZE", "50Gi")] = None,
) -> None:
    """Write the pipeline as the YAML that Kubeflow Pipelines takes.

    Args:
        out: The file to write.
        pipeline: The product, the study of the paper's tables and Figure 3 on COCO, or batch prediction.
        image: Your container image (infra/images/Dockerfile), best with its digest: REGISTRY/maskx@sha256:…
        shared_memory: Size of /dev/shm where images are loaded; it counts as memory of the step.
        scratch: Disk of each step for local copies of remote files.

    Example:
        maskx pipeline compile --out maskx_vg3000.yaml --image registry.example.com/maskx:0.1.0
    """
    check_packages()
    from components.image import IMAGE
    from pipelines.compiling import compiled
    from pipelines.pods import SCRATCH_VOLUME, SHARED_MEMORY

    sizes = {SHARED_MEMORY: shared_memory, SCRATCH_VOLUME: scratch}
    given = {volume: size for volume, size in sizes.items() if size is not None}
    file = out or Path(f"{pipeline}.yaml")
    write(file, compiled(image or IMAGE, sizes=given, pipeline=pipeline).encode())
    print(f"{file} written")
