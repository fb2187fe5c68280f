"""KFP component: the choices of A and the rows of a study, checked before anything costs."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def study_splits(splits: list[str]) -> list[str]:
    """Check what a study is asked for: every choice of A and every row exists. All that is wrong is told at once.

    Args:
        splits: Choices of A with their rows, `A=ROWS`, where ROWS are tables or rows with `;` between them.

    Returns:
        `splits`.
    """
    from data_prep.log import show_log
    from maskx_model.study.splits import check_splits

    show_log()
    check_splits(splits)
    return splits
