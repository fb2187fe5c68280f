"""Every seed of a training, from the run's seed and the number of a step, an epoch or a sample.

So what is drawn at a step depends neither on the steps before it nor on the process that draws: a resumed training
ends in the same weights.
"""

import numpy as np


def step_seed(seed: int, step: int) -> int:
    """The seed of torch's generators in that step."""
    return seed * 1_000_003 + step


def numbered_generator(seed: int, number: int, *stream: int) -> np.random.Generator:
    """NumPy's generator of that epoch or sample; `stream`: numbers above 0 (a 0 changes nothing) for another one."""
    return np.random.default_rng((seed, number, *stream))
