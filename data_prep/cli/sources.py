"""`maskx data sources`."""


def sources() -> None:
    """Print where to get the public data sets, where their files go, their licenses, and the disk space they need.

    Example:
        maskx data sources
    """
    from data_prep.inspect.public_sources import describe_sources

    print(describe_sources())
