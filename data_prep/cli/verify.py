"""`maskx data verify`."""

from tyro.conf import Positional

from data_prep.arguments import Uri


def verify(dataset: Positional[Uri]) -> None:
    """Check a dataset: every hash, every length, every count.

    Args:
        dataset: Folder of a prepared dataset.

    Example:
        maskx data verify dataset
    """
    from data_prep.inspect.verify import find_problems
    from data_prep.storage.errors import DataError

    problems = find_problems(dataset)
    if problems:
        print("\n".join(problems))
        raise DataError(f"{dataset}: {len(problems)} things are not as the manifest says; prepare it again")
    print(f"{dataset}: whole")
