"""What one image costs: seconds and memory, measured on the input example in a process of its own."""

import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from statistics import median

import msgspec

from data_prep.storage.errors import killed_workers_told
from maskx_model.registry.example import example_image

IMAGES = 5
"""Images that are timed, after one that is not."""
GB = 1e9


class Costs(msgspec.Struct, frozen=True):
    """`seconds` for an image of 640×480 pixels (median), from pixels to masks; `memory` in GB at the peak, of the GPU
    where there is one, else of the whole process; `device` names the machine's part that computed."""

    seconds: float
    memory: float
    device: str


def measure_costs(model: str) -> Costs:
    """The costs of a model folder on this machine, with its GPU if it has one. A new process is started, so that the
    memory is the model's and not the caller's. Raises CheckpointError for a model that is damaged, MaskxError if the
    process is killed."""
    remedy = "make room on this machine, and the same command measures the model's costs again"
    with killed_workers_told(remedy), ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measure, model).result()


def _measure(model: str) -> Costs:
    import torch

    from maskx_model.artifacts.model_folder import load_model
    from maskx_model.model.maskx_rcnn import MaskXRCNN
    from maskx_model.results.predict import predict

    loaded, image = load_model(model).model, example_image()
    assert isinstance(loaded, MaskXRCNN)  # `gather` refuses a detector
    predict(loaded, image)
    seconds = []
    for _ in range(IMAGES):
        start = time.perf_counter()
        predict(loaded, image)  # its masks are on the CPU, so the GPU has finished
        seconds.append(time.perf_counter() - start)
    if next(loaded.parameters()).device.type == "cuda":
        return Costs(median(seconds), torch.cuda.max_memory_allocated() / GB, torch.cuda.get_device_name())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Costs(median(seconds), peak / GB, f"CPU, {torch.get_num_threads()} threads")
