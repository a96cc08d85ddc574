"""How numbers, intervals, p-values and verdicts are worded, on the screen, in Markdown, in JUnit and in the report.

Every renderer takes its words from here, so that a number reads the same wherever it is shown. Text is plain: whoever
writes Markdown, HTML or XML escapes it.
"""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganeval.comparison import Difference
    from ganeval.results import MetricResult
    from ganeval.runs import MethodDifference, Spread

__all__ = [
    "NONE",
    "between_text",
    "direction_text",
    "fixed",
    "four_digits",
    "images_text",
    "interval_text",
    "method_verdict_text",
    "p_value_text",
    "probability_text",
    "ratio_text",
    "result_text",
    "size_text",
    "verdict_text",
    "with_error",
    "within_text",
]

# Stands for a value that does not exist.
NONE = "-"
# Values below this are rounding errors, and written as 0.
NOTHING = 1e-9
# Fixed point shows no more decimals than this; smaller numbers are written with an exponent.
MAX_DECIMALS = 7
# Numbers from this size on are written with an exponent, too.
LARGE = 1e15
# Smaller p-values are shown only as below this: their exact size has no meaning.
LEAST_P = 0.001
# Larger sample sizes are not recommended.
MAX_IMAGES, MAX_RUNS = 10_000_000, 10_000


def with_error(value: float, error: float | None) -> str:
    """A value and its standard error: two digits of the error, at least four of the value.

    Args:
        value: The value.
        error: Its standard error; None where none is known.

    Returns:
        The text.

    >>> with_error(12.3456, 0.2134), with_error(0.0123456, 0.00098), with_error(8.5, None), with_error(0.0, 0.0)
    ('12.35 ± 0.21', '0.01235 ± 0.00098', '8.500', '0 ± 0')
    """
    text = fixed(value, _decimals(value, error))
    return text if error is None else f"{text} ± {fixed(error, _decimals_of(error, digits=2))}"


def four_digits(value: float) -> str:
    """A value of which no error is known, to four significant digits.

    Args:
        value: The number.

    Returns:
        The text.

    >>> four_digits(4.4669), four_digits(0.0123456), four_digits(0.0)
    ('4.467', '0.01235', '0')
    """
    return with_error(value, None)


def result_text(result: "MetricResult | None") -> str:
    """The value of a metric with its standard error; "-" where there is no result.

    Args:
        result: The result; None where there is none.

    Returns:
        The text.
    """
    return NONE if result is None else with_error(result.value, result.standard_error)


def interval_text(bounds: tuple[float, float] | None, value: float, error: float | None) -> str:
    """An interval with the decimals of its value, or more where these do not show how wide it is; "-" for none.

    Args:
        bounds: Lower and upper bound; None where there is no interval.
        value: The value that it is of.
        error: Its standard error.

    Returns:
        The text.

    >>> interval_text((11.92, 12.77), 12.3456, 0.2134), interval_text((0.0, 0.037), 0.0, 0.0)
    ('11.92 to 12.77', '0 to 0.037')
    """
    if bounds is None:
        return NONE
    low, high = bounds
    decimals = max(_decimals(value, error), _decimals_of(high - low, digits=2))
    return " to ".join(fixed(bound, decimals) for bound in bounds)


def fixed(value: float, decimals: int) -> str:
    """A number with so many decimals; with an exponent where they would show nothing of it, or too much.

    Args:
        value: The number.
        decimals: Digits after the point.

    Returns:
        The text.

    >>> fixed(3.14159, 2), fixed(1.5e-05, 9), fixed(2e-13, 16), fixed(1e300, 2)
    ('3.14', '1.500e-05', '0', '1.000e+300')
    """
    if abs(value) < NOTHING:
        return "0"
    if decimals > MAX_DECIMALS or abs(value) >= LARGE:
        return f"{value:.3e}"
    return f"{value:.{decimals}f}"


def p_value_text(p_value: float | None) -> str:
    """A p-value to two digits, or that it is below a thousandth; "-" where none is known.

    Args:
        p_value: The p-value; None where none is known.

    Returns:
        The text.

    >>> p_value_text(0.0321), p_value_text(1e-12), p_value_text(1.0), p_value_text(None)
    ('0.032', '<0.001', '1', '-')
    """
    if p_value is None:
        return NONE
    return f"<{LEAST_P:g}" if p_value < LEAST_P else f"{p_value:.2g}"


def verdict_text(difference: "Difference", first: str, second: str) -> str:
    """The verdict on a difference, and where the images cannot tell, how many could.

    Args:
        difference: Of generator `second` minus `first`.
        first: What the first generator is called here.
        second: What the second one is called here.

    Returns:
        "B is worse than A", "can't tell; about 1,200 images of each set would", or "no error bar".
    """
    if difference.verdict == "unknown":
        return "no error bar"
    if difference.verdict in ("better", "worse"):
        return f"{second} is {difference.verdict} than {first}"
    if difference.needed is None:
        return "can't tell"
    if difference.needed > MAX_IMAGES:
        return f"can't tell; not even {MAX_IMAGES:,} images of each set would"
    return f"can't tell; about {_two_digits(difference.needed):,} images of each set would"


def method_verdict_text(difference: "MethodDifference", first: str, second: str) -> str:
    """The verdict on two methods, and where their runs cannot tell, how many could.

    Args:
        difference: Of method `second` minus `first`.
        first: What the first method is called here.
        second: What the second one is called here.

    Returns:
        "B is worse than A", "can't tell; about 12 runs of each method would", or that one run decides nothing.
    """
    if difference.verdict == "unknown":
        return "no verdict on the methods: one run"
    if difference.verdict in ("better", "worse"):
        return f"{second} is {difference.verdict} than {first}"
    if difference.needed is None:
        return "can't tell"
    if difference.needed > MAX_RUNS:
        return f"can't tell; not even {MAX_RUNS:,} runs of each method would"
    return f"can't tell; about {_two_digits(difference.needed):,} runs of each method would"


def between_text(spread: "Spread") -> str:
    """The standard deviation between the runs of a method with its 95% interval, or that it may be 0.

    Args:
        spread: Of a metric over the runs of a method.

    Returns:
        "0.45 (0.21 to 1.90)", "may be 0, at most 1.90"; "-" where it is not known. "at least" stands before a lower
        bound.
    """
    if spread.between is None or spread.between_interval is None:
        return NONE
    low, high = spread.between_interval
    if low <= 0:
        return f"may be 0, at most {fixed(high, _decimals_of(high, digits=2))}"
    decimals = _decimals_of(spread.between, digits=2)
    bound = "at least " if spread.within_at_most else ""
    return f"{bound}{fixed(spread.between, decimals)} ({fixed(low, decimals)} to {fixed(high, decimals)})"


def within_text(spread: "Spread") -> str:
    """The standard deviation of a run's value if its images were drawn again; "-" where it is not known.

    Args:
        spread: Of a metric over the runs of a method.

    Returns:
        "0.11", or "at most 0.15" for an upper bound.
    """
    if spread.within is None:
        return NONE
    bound = "at most " if spread.within_at_most else ""
    return f"{bound}{fixed(spread.within, _decimals_of(spread.within, digits=2))}"


def direction_text(direction: str, ideal: float | None) -> str:
    """Which values of a metric are better.

    Args:
        direction: "lower", "higher" or "closer".
        ideal: The best value, for "closer".

    Returns:
        The text.

    >>> direction_text("lower", None), direction_text("closer", 0.5)
    ('lower', 'closer to 0.5')
    """
    return direction if ideal is None else f"{direction} to {ideal:g}"


def images_text(result: "MetricResult") -> str:
    """The numbers of images: reals x fakes; the fakes alone where the reals are not used, or their number is unknown.

    Args:
        result: The result of a metric.

    Returns:
        The text.
    """
    return str(result.n_fake) if result.n_real is None else f"{result.n_real} x {result.n_fake}"


def probability_text(probability: float) -> str:
    """A classifier's probability, with four decimals.

    Args:
        probability: From 0 to 1.

    Returns:
        The text.

    >>> probability_text(0.99873), probability_text(0.0)
    ('0.9987', '0.0000')
    """
    return f"{probability:.4f}"


def ratio_text(ratio: float | None) -> str:
    """A fake's distance to its nearest real over that real's own to another one; "-" where it is not defined.

    Args:
        ratio: The ratio; None where it is not defined.

    Returns:
        The text.

    >>> ratio_text(0.7421), ratio_text(0.0), ratio_text(None)
    ('0.74', '0', '-')
    """
    return NONE if ratio is None else fixed(ratio, 2)


def size_text(count: int) -> str:
    """Bytes as a person reads them.

    Args:
        count: The number of bytes.

    Returns:
        The text.

    >>> size_text(512), size_text(95_628_359)
    ('512 B', '95.6 MB')
    """
    if count < 1000:
        return f"{count} B"
    scale = min(int(math.log10(count)) // 3, 4)
    return f"{count / 1000**scale:.1f} {('kB', 'MB', 'GB', 'TB')[scale - 1]}"


def _decimals(value: float, error: float | None) -> int:
    return max(_decimals_of(value, digits=4), 0 if error is None else _decimals_of(error, digits=2))


def _decimals_of(value: float, *, digits: int) -> int:
    """The decimals that show so many significant digits."""
    if abs(value) < NOTHING or math.isinf(value):
        return 0
    return max(digits - 1 - math.floor(math.log10(abs(value))), 0)


def _two_digits(count: int) -> int:
    return round(count, -max(len(str(count)) - 2, 0))
