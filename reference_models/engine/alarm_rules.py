"""Alarm rules: each compares a few numbers from the log or the scores of a run.

A rule must hold several times in a row, by a minimum amount and beyond the error bars of the compared numbers, before
its alarm is raised. docs/alarms.md has the rates of false alarms.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# By name of a log entry or metric: its value and standard error (0 if not known).
Readings = Mapping[str, tuple[float, float]]

# Limits relative to the best: of FID (StudioGAN's DCGAN went from 49 to 137 unnoticed), and of recall, coverage and
# spread.
RISEN, FALLEN = 1.5, 0.5
# Fakes whose mean distance is below this share of the reals' mean distance are too similar.
NARROW = 0.3
# Standard errors for a difference to count; many, because a run is checked thousands of times. A difference from the
# best value needs more, because the best of many noisy values is biased.
ERRORS, OF_BEST = 4.0, 5.0
# The gradient norm below which a generator learns nothing; the logit of a probability of 99%.
STILL, SURE = 1e-3, math.log(99.0)
# The loss below which a discriminator has nothing left to learn.
WON = 0.05
# Maximum distance of the outputs on unseen reals from those on training reals: 0 is none, 1 is that of the fakes.
UNKNOWN = 0.5


@dataclass(slots=True)
class RuleState:
    """The state of a rule. streak: consecutive checks in which it held. best: value and error of the best so far."""

    streak: int = 0
    best: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        # A restored state has a list here.
        self.best = None if self.best is None else (self.best[0], self.best[1])


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """One comparison.

    needs: the readings that it compares. check: (readings, state) => what was found, as a sentence, or None.
    patience: number of consecutive checks that must find it before the alarm is raised.
    """

    name: str
    alarm: str
    needs: tuple[str, ...]
    patience: int
    check: Callable[[Readings, RuleState], str | None]

    def reads(self, seen: Readings) -> bool:
        """Whether all the readings that it needs are available."""
        return all(name in seen for name in self.needs)


def beyond(gap: float, *errors: float, times: float = ERRORS) -> bool:
    """Whether a difference is positive and more than `times` its standard error, given those of its terms."""
    return gap > 0 and gap > times * math.hypot(*errors)


def fid_rose(seen: Readings, state: RuleState) -> str | None:
    """FID is over 1.5 times the best so far."""
    value, error = seen["fid"]
    if state.best is None or value < state.best[0]:
        state.best = (value, error)
    best, best_error = state.best
    if value > RISEN * best and beyond(value - best, error, best_error, times=OF_BEST):
        return (
            f"FID is {value:.4g}, {value / best:.1f} times its best of {best:.4g}." if best else f"FID is {value:.4g}."
        )
    return None


def fell(name: str) -> Callable[[Readings, RuleState], str | None]:
    """A check of a quantity that should be high, such as recall or spread: it has fallen below half of its best.

    The best is capped at 1, the value of reals: an untrained generator can make images that differ from each other more
    than reals do.
    """

    def check(seen: Readings, state: RuleState) -> str | None:
        value, error = seen[name]
        if state.best is None or value > state.best[0]:
            state.best = (min(value, 1.0), error)
        best, best_error = state.best
        if value < FALLEN * best and beyond(best - value, error, best_error, times=OF_BEST):
            return f"{name.capitalize()} fell to {value:.3g}, from {best:.3g} at its best."
        return None

    return check


def narrow(name: str) -> Callable[[Readings, RuleState], str | None]:
    """A check of a spread that is too small."""

    def check(seen: Readings, state: RuleState) -> str | None:  # noqa: ARG001
        value, error = seen[name]
        if value < NARROW and beyond(NARROW - value, error):
            return f"Fakes differ from each other by {value:.0%} of what reals differ by ({name})."
        return None

    return check


def vanished(seen: Readings, state: RuleState) -> str | None:  # noqa: ARG001
    """The generator's gradient is close to zero while the discriminator is certain."""
    norm = seen["grad/generator"][0]
    if norm >= STILL or not _sure(seen):
        return None
    return (
        f"The generator's gradient has a norm of {norm:.2g}, while the discriminator gives reals "
        f"{_chance(seen, 'logit/real')} and fakes {_chance(seen, 'logit/fake')}."
    )


def won(seen: Readings, state: RuleState) -> str | None:  # noqa: ARG001
    """The discriminator is certain, and its loss is close to zero."""
    loss = seen["loss/discriminator"][0]
    if loss >= WON or not _sure(seen):
        return None
    return (
        f"The discriminator's loss is {loss:.2g}: it gives reals {_chance(seen, 'logit/real')} and fakes "
        f"{_chance(seen, 'logit/fake')}."
    )


def lost(seen: Readings, state: RuleState) -> str | None:  # noqa: ARG001
    """The discriminator rates fakes as more real than reals."""
    (real, real_error), (fake, fake_error) = seen["logit/real"], seen["logit/fake"]
    # The errors are those of one batch, not of the mean over many steps: the gap must be visible in a batch.
    if not beyond(fake - real, real_error, fake_error):
        return None
    return f"The discriminator rates fakes at {fake:.3g}, higher than reals at {real:.3g}."


def overfitted(seen: Readings, state: RuleState) -> str | None:  # noqa: ARG001
    """Unseen reals are rated closer to fakes than to training reals (Karras et al. 2020, r_v)."""
    (train, train_error), (unseen, unseen_error), (fake, fake_error) = (seen[name] for name in _RATED)
    # If the outputs on fakes and training images hardly differ, a position between them means nothing.
    if not beyond(train - fake, train_error, fake_error):
        return None
    limit = train - UNKNOWN * (train - fake)
    if not beyond(limit - unseen, (1 - UNKNOWN) * train_error, UNKNOWN * fake_error, unseen_error):
        return None
    share = (train - unseen) / (train - fake)
    return (
        f"The discriminator rates training images at {train:.3g}, unseen ones at {unseen:.3g} and fakes at {fake:.3g}: "
        f"{share:.0%} of the way from training images to fakes."
    )


def _sure(seen: Readings) -> bool:
    """Whether the discriminator is certain about both reals and fakes."""
    (real, real_error), (fake, fake_error) = seen["logit/real"], seen["logit/fake"]
    # A critic's outputs are not logits; its loss becomes negative as those on reals and fakes separate.
    no_critic = seen["loss/discriminator"][0] >= 0.0
    return no_critic and beyond(real - SURE, real_error) and beyond(-SURE - fake, fake_error)


def _chance(seen: Readings, name: str) -> str:
    """A logit as a probability of being real, as text."""
    return f"{1 / (1 + math.exp(-max(min(seen[name][0], 700.0), -700.0))):.2%}"


_LOGITS = ("logit/real", "logit/fake")
_RATED = ("logit/train", "logit/held-out", "logit/fakes")
ALARM_RULES = (
    AlarmRule("fid", "collapse", ("fid",), 2, fid_rose),
    *(AlarmRule(name, "collapse", (name,), 2, fell(name)) for name in ("recall", "coverage", "diversity")),
    # More patience, because it is checked at every line of the log.
    AlarmRule("spread", "collapse", ("spread",), 5, fell("spread")),
    # More patience, because an untrained generator makes similar images.
    AlarmRule("diversity, small", "collapse", ("diversity",), 5, narrow("diversity")),
    AlarmRule("spread, small", "collapse", ("spread",), 50, narrow("spread")),
    AlarmRule("vanished", "vanishing", (*_LOGITS, "loss/discriminator", "grad/generator"), 5, vanished),
    AlarmRule("overfitted", "overfitting", _RATED, 2, overfitted),
    AlarmRule("won", "imbalance", (*_LOGITS, "loss/discriminator"), 10, won),
    AlarmRule("lost", "imbalance", _LOGITS, 10, lost),
)
