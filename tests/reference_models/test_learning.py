"""Quick recipes learn the embedded digits. `python -m benchmarks learning` measures all of them."""

import pytest

from benchmarks.learning import BETTER, learned

# It learns in the fewest seconds. What a quick run of every variant gives is held by test_quick_runs.py, bit for bit.
QUICKEST = ("lucic2018-minimax",)


@pytest.mark.parametrize("name", QUICKEST)
def test_a_quick_run_brings_the_fid_at_least_5_times_below_its_untrained_value(name: str) -> None:
    """Against the recipe's own data; the weights are those used for sampling: the average where there is one."""
    assert learned(name).better > BETTER
