"""All commands of `maskx`: what each word means, and the module that holds the command."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Command = Callable[..., Any]


class Group(NamedTuple):
    """A first word: a line of help, and its commands (second word → module), or the module of its only command."""

    summary: str
    commands: Mapping[str, str] | str


GROUPS = {
    "data": Group(
        "Generate a toy world; turn COCO, Visual Genome or custom files into a dataset; look at it.",
        {
            "toy": "data_prep.cli.toy",
            "sources": "data_prep.cli.sources",
            "check": "data_prep.cli.check",
            "prepare": "data_prep.cli.prepare",
            "verify": "data_prep.cli.verify",
            "audit": "data_prep.cli.audit",
            "show": "data_prep.cli.show",
            "browse": "data_prep.cli.browse",
            "export": "data_prep.cli.export",
        },
    ),
    "train": Group(
        "Train the detector (stage 1), the masks of all classes (stage 2), or both at once.",
        {
            "detector": "maskx_model.cli.train_detector",
            "masks": "maskx_model.cli.train_masks",
            "joint": "maskx_model.cli.train_joint",
        },
    ),
    "evaluate": Group(
        "Measure AP on classes with and without masks in training; write a report.", "maskx_model.cli.evaluate"
    ),
    "predict": Group("Detect and segment the objects of images.", "maskx_model.cli.predict"),
    "predict-batch": Group(
        "The same for a dataset or any number of images, with several workers or on a cluster.",
        "maskx_model.cli.predict_batch",
    ),
    "annotate": Group("Boxes in, masks out: complete annotation files with masks.", "maskx_model.cli.annotate"),
    "study": Group(
        "Compare variants of the mask head on held-out classes; the paper's tables in small.",
        {
            "holdout": "maskx_model.study.cli.holdout",
            "estimate": "maskx_model.study.cli.estimate",
            "tables": "maskx_model.study.cli.tables",
        },
    ),
    "model": Group(
        "Register trained models; choose the champion; tell what a model was made from.",
        {
            "register": "maskx_model.cli.register",
            "promote": "maskx_model.cli.promote",
            "rollback": "maskx_model.cli.rollback",
            "lineage": "maskx_model.cli.lineage",
        },
    ),
    "config": Group(
        "Show everything that a run is made of, to change it; compare two.",
        {"show": "maskx_model.cli.config_show", "diff": "maskx_model.cli.config_diff"},
    ),
    "pipeline": Group(
        "Run everything in one go on this machine, or on Kubeflow Pipelines, once or again and again.",
        {
            "run": "pipelines.commands.run_pipeline",
            "compile": "pipelines.commands.compile_pipeline",
            "submit": "pipelines.commands.submit_pipeline",
            "schedule": "pipelines.commands.schedule_pipeline",
        },
    ),
}


def load(module: str) -> Command:
    """Import a command: the function that bears its module's name."""
    command: Command = getattr(importlib.import_module(module), module.rpartition(".")[2])
    return command
