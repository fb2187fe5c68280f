"""Batches of photographs as a training asks for them: read and decoded ahead where a GPU would wait for them."""

import os
from collections.abc import Iterable

import torch
from torch.utils.data import DataLoader

from maskx_model.dataset import Sample, TrainingBatches

PROCESSES = 4
"""Each decodes some 100 photographs of COCO's size in a second."""


def load_batches(samples: TrainingBatches, steps: range, device: torch.device) -> Iterable[list[Sample]]:
    """The batches of those steps, in order. For a GPU, processes of their own make them ahead; on processors, which
    have no core to spare, each is made when it is its turn."""
    processes = 0 if device.type == "cpu" else min(PROCESSES, os.cpu_count() or 1)
    # Forked ones would share the connections to an object store.
    start = "spawn" if processes else None
    return DataLoader(samples, batch_size=None, sampler=steps, num_workers=processes, multiprocessing_context=start)
