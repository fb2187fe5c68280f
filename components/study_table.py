"""KFP component: the results of a study, collected."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def study_table(splits: list[str], out: str, table: dsl.Output[dsl.Markdown], figure: dsl.Output[dsl.HTML]) -> str:
    """Collect the results of all splits into a table and a plot of AP on B by the number of classes in A (Figure 3).

    Args:
        splits: URIs of the splits' results.
        out: URI of the study's folder.
        table: Every row of every split.
        figure: The plot.

    Returns:
        `out`, which holds splits.csv, splits.md and figure3.svg.
    """
    from data_prep.log import show_log
    from data_prep.storage.storage import read, write
    from maskx_model.study.splits_page import write_splits

    show_log()
    write(table.path, write_splits(splits, out).encode())
    write(figure.path, read(f"{out}/figure3.svg"))
    table.metadata.update(uri=f"{out}/splits.csv", splits=len(splits))
    figure.metadata.update(uri=f"{out}/figure3.svg")
    return out
