"""Every part of a plan that is not done yet: in this process, or by the workers of an engine."""

from dataclasses import replace

from data_prep.beam.engine import Engine
from data_prep.beam.part_files import unfinished
from maskx_model.annotate.segment import SegmentPart
from maskx_model.annotate.work import Plan, part_files


def segment_parts(out: str, plan: Plan, work: SegmentPart, engine: Engine) -> None:
    """Do what is missing; a bar on stderr counts images. Raises as the parts do, and DataError if workers wrote their
    results where this process does not see them."""
    sizes = [end - start for start, end in plan.parts]
    with unfinished(out, part_files(out), sizes, "annotate") as todo:
        if engine == Engine():
            for part in todo.parts:
                work(part, todo.bar.update)
        elif todo.parts:
            from data_prep.beam.parts import run_parts

            with todo.followed():
                run_parts(engine, out, "annotate", todo.parts, replace(work, threads=engine.threads))
