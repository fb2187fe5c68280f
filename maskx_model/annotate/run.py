"""Every part of a plan that is not done yet: in this process, or by the workers of an engine."""

import os
import sys
from dataclasses import replace

from tqdm import tqdm

from data_prep.beam.engine import Engine
from data_prep.storage.errors import DataError
from maskx_model.annotate.segment import SegmentPart
from maskx_model.annotate.work import Plan, finished_parts


def segment_parts(out: str, plan: Plan, work: SegmentPart, engine: Engine) -> None:
    """Do what is missing; a bar on stderr counts images. Raises as the parts do, and DataError if workers wrote their
    results where this process does not see them."""
    sizes = [end - start for start, end in plan.parts]
    before = finished_parts(out)
    missing = [part for part in range(len(sizes)) if part not in before]
    done = sum(sizes[part] for part in before)
    with tqdm(total=sum(sizes), initial=done, desc="annotate", unit="image", file=sys.stderr) as bar:
        if not missing:
            return
        if engine == Engine():
            for part in missing:
                work(part, bar.update)
            return
        from data_prep.beam.parts import run_parts
        from data_prep.beam.progress import advancing

        threads = None if engine.runner else max(1, (os.cpu_count() or 1) // engine.workers)
        with advancing(lambda: bar.update(sum(sizes[part] for part in finished_parts(out)) - bar.n)):
            run_parts(engine, out, "annotate", missing, replace(work, threads=threads))
    if len(finished_parts(out)) < len(sizes):
        raise DataError(f"{out}: the workers' files are not seen here; --out must be a shared folder or s3://")
