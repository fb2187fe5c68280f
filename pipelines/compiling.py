"""The pipeline as the YAML that Kubeflow Pipelines takes. Same code, same text."""

import tempfile
from pathlib import Path

from components.image import IMAGE


def compiled(image: str = IMAGE, retries: bool = True) -> str:
    """The compiled pipeline, two YAML documents: the pipeline and its Kubernetes settings.

    Args:
        image: The container image that the steps run in.
        retries: Whether a step that fails is tried again (on a cluster, yes: machines are taken away).
    """
    import yaml
    from kfp import compiler

    from pipelines.maskx_vg3000 import maskx_vg3000

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(maskx_vg3000, str(path))
        text = path.read_text(encoding="utf-8").replace(f"image: {IMAGE}\n", f"image: {image}\n")
    if retries:
        return text
    documents = list(yaml.safe_load_all(text))
    for task in documents[0]["root"]["dag"]["tasks"].values():
        task.pop("retryPolicy", None)
    return str(yaml.safe_dump_all(documents, sort_keys=False))
