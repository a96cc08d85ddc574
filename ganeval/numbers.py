"""Numbers for people: with as many digits as their error bar supports."""

import math

# Smaller values are rounding errors and are written as 0.
NOTHING = 1e-9
# Maximum number of decimals; smaller numbers are written with an exponent.
MOST_DECIMALS = 7
# Larger numbers are written with an exponent, too.
LARGE = 1e15


def measured(value: float, error: float | None) -> str:
    """A value and its standard error: two digits of the error, at least four of the value.

    Args:
        value: The value.
        error: Its standard error; None if there is none.

    Returns:
        The text, such as "12.35 ± 0.21".

    Examples:
        >>> measured(12.3456, 0.2134), measured(0.0123456, 0.00098), measured(8.5, None), measured(0.0, 0.0)
        ('12.35 ± 0.21', '0.01235 ± 0.00098', '8.500', '0 ± 0')
    """
    text = number(value, _decimals(value, error))
    return text if error is None else f"{text} ± {number(error, _decimals_of(error, digits=2))}"


def interval(bounds: tuple[float, float] | None, value: float, error: float | None) -> str:
    """An interval with the decimals of its value, or more if they do not show its width; "-" for none.

    Args:
        bounds: The interval; None if there is none.
        value: The value that it belongs to.
        error: The standard error of that value; None if there is none.

    Returns:
        The text, such as "11.92 to 12.77".

    Examples:
        >>> interval((11.92, 12.77), 12.3456, 0.2134), interval((0.0, 0.037), 0.0, 0.0)
        ('11.92 to 12.77', '0 to 0.037')
    """
    if bounds is None:
        return "-"
    low, high = bounds
    decimals = max(_decimals(value, error), _decimals_of(high - low, digits=2))
    return " to ".join(number(bound, decimals) for bound in bounds)


def number(value: float, decimals: int) -> str:
    """A number with so many decimals, or with an exponent if it is too small or too large for them.

    Args:
        value: The number.
        decimals: Digits after the point.

    Returns:
        The text; "0" for values up to rounding.

    Examples:
        >>> number(3.14159, 2), number(1.5e-05, 9), number(2e-13, 16), number(1e300, 2)
        ('3.14', '1.500e-05', '0', '1.000e+300')
    """
    if abs(value) < NOTHING:
        return "0"
    if decimals > MOST_DECIMALS or abs(value) >= LARGE:
        return f"{value:.3e}"
    return f"{value:.{decimals}f}"


def _decimals(value: float, error: float | None) -> int:
    return max(_decimals_of(value, digits=4), 0 if error is None else _decimals_of(error, digits=2))


def _decimals_of(value: float, *, digits: int) -> int:
    """The decimals that show this many significant digits."""
    if abs(value) < NOTHING or math.isinf(value):
        return 0
    return max(digits - 1 - math.floor(math.log10(abs(value))), 0)


def size(count: int) -> str:
    """A number of bytes for people.

    Args:
        count: Bytes.

    Returns:
        The text, such as "95.6 MB".

    Examples:
        >>> size(512), size(95_628_359)
        ('512 B', '95.6 MB')
    """
    if count < 1000:
        return f"{count} B"
    scale = min(int(math.log10(count)) // 3, 4)
    return f"{count / 1000**scale:.1f} {('kB', 'MB', 'GB', 'TB')[scale - 1]}"
