"""The noise floor: what real images score against other real images, at this number of images.

The reals are split at random into halves, one of which plays the fakes. Both halves have one distribution, so this is
a perfect generator's score at this sample size. Metrics that are biased by the number of images have a lower floor with
more of them: compare it with values of as many.

The error bar is that of one value, as a generator's. The spread of values between splits would understate it: halves of
one set share its images, and a half's mean has half the variance that it has over fresh sets of its size. In
simulations the spread was from 0.7 (vendi, nn) to 0.85 (precision, kid) of the true error. So the splits' own error is
given: 0.9 to 1.05 of the true one there, and 1.3 and more where a metric overstates it for sets that are alike (fid,
nn).
"""

from dataclasses import replace
from typing import Unpack

import numpy as np
import torch

from ganeval.averaging import mean_evaluation
from ganeval.compute import compute
from ganeval.errors import MetricError
from ganeval.extraction import extract_set
from ganeval.inputs import check_supported, open_images, open_setups
from ganeval.options import Options
from ganeval.progress import Progress, silent
from ganeval.results import HALVES, Evaluation
from ganeval.selection import Names, select_metrics
from ganeval.settings import Settings, SettingsKeywords, whole_number

SPLITS = 10


def noise_floor(
    real: object,
    *,
    metrics: Names = None,
    options: Options | None = None,
    splits: int = SPLITS,
    lenient: bool = False,
    progress: Progress = silent,
    **settings: Unpack[SettingsKeywords],
) -> Evaluation:
    """The mean value of each metric between random halves of `real`, with the error bar of one value.

    Args:
        real: Images, as for `evaluate`.
        metrics: Names of the METRICS table; None for the usual ones, "all" for all.
        options: Of metrics, as in {"prdc": {"k": 3}}.
        splits: How many times the reals are split, 2 or more.
        lenient: Leave out metrics that halves do not allow, with a warning, even where they were named.
        progress: Shows the reading.
        **settings: The fields of `ganeval.Settings`.

    Returns:
        Values are means over the splits; errors and intervals are means of the splits' own, None where one has none.
        The details have the "spread" of values from split to split, and means of values by class.

    Raises:
        UsageError: There are fewer than 2 splits, or what `evaluate` raises it for.
        MetricError: There are fewer than 4 images, or halves do not allow a metric.

    >>> found = ganeval.noise_floor("digits:test", metrics=["fid"], splits=2, extractor="digits", cache=False)
    >>> found["fid"].n_real
    225
    """
    splits = whole_number("splits", splits, least=2)
    chosen, selection = Settings.of(settings), select_metrics(metrics, options)
    selection = replace(selection, lenient=selection.lenient or lenient)
    opened = open_images(real, chosen)
    (setup,) = open_setups(chosen, [opened])
    selection = check_supported(selection, setup, opened, [opened])
    wanted = replace(selection, also=selection.outputs(real=True) | selection.outputs(real=False))
    (whole,) = extract_set(opened, [setup], [wanted], chosen, progress)
    if len(whole) < 4:
        raise MetricError(f"Halves can be measured of 4 images or more, found {len(whole)}.")
    rng = np.random.RandomState(chosen.seed)
    found = []
    for _ in range(splits):
        # Two disjoint halves of the images, in random order; an odd one is left out.
        order = torch.from_numpy(rng.permutation(len(whole)))
        half = len(order) // 2
        one, other = whole.part(order[:half]), whole.part(order[half : 2 * half])
        found.append(compute(selection, setup, one, other, seed=chosen.seed))
    return mean_evaluation(found, {**whole.provenance, "name": f"{whole.name}{HALVES}"})
