"""The seeds of all that is random in a training: of a run's seed and of the number of a step, an epoch or a sample.

So whatever is drawn is the same whether a training is resumed or not, in whichever process, in whatever order.
"""

import numpy as np


def step_seed(seed: int, step: int) -> int:
    """The seed of torch's generators in that step."""
    return seed * 1_000_003 + step


def numbered_generator(seed: int, number: int) -> np.random.Generator:
    """NumPy's generator of that epoch or sample."""
    return np.random.default_rng((seed, number))
