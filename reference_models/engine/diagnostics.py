"""Alarms for failing training: what was found, what it usually means, what to try.

They are computed from the logs of steps and the scores of evaluations, so they work for every model, and do not affect
training. An alarm is raised once, and again only after its rule has stopped holding.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from ganeval.errors import UsageError, did_you_mean
from ganeval.results import Evaluation
from reference_models.base import Model
from reference_models.engine.alarm_rules import ALARM_RULES, AlarmRule, Readings, RuleState
from reference_models.engine.shortfall import KINDS, no_better, shortfalls

# What each alarm usually means, and what to try.
ALARMS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "divergence": (
            "A number is infinite or NaN, and so are all numbers computed from it.",
            "Go back to the last good checkpoint with a smaller learning rate, or with a penalty or a normalisation "
            "that keeps the discriminator smooth.",
        ),
        "collapse": (
            "The generator makes fewer kinds of images than before, or than the reals have.",
            "Keep the best checkpoint, and try a smaller learning rate, a larger batch, or another loss (wgan-gp).",
        ),
        "vanishing": (
            "The discriminator is so certain that the generator gets no gradient.",
            "Use the non-saturating loss, train the discriminator less or more slowly, or use a critic with a penalty "
            "(wgan-gp).",
        ),
        "overfitting": (
            "The discriminator has memorised its training images: it rates unseen reals as fake.",
            "Stop and keep the best checkpoint, or use more images, mirrored ones (flips), or a smaller or more "
            "strongly regularised discriminator.",
        ),
        "imbalance": (
            "One player is much stronger than the other, so neither learns much.",
            "Train the stronger player less often or more slowly, or regularise it.",
        ),
    }
)
# Raised only by the final scores, so they cannot stop a run.
FINAL: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "quality": (
            "The model's output is not yet good enough.",
            "Train longer (--steps), with a wider network (--set), or with another variant or preset.",
        ),
    }
)
_MEANINGS = MappingProxyType({**ALARMS, **FINAL})
# The name of an alarm in a sentence, if it differs.
_SPOKEN = {"collapse": "mode collapse", "vanishing": "vanishing gradients"}
# Kinds of tensors of a model, in the order in which they are searched.
_PARTS = ("parameter", "gradient of", "buffer")


@dataclass(frozen=True, slots=True)
class Finding:
    """An alarm that was raised at a step; `str` gives it as sentences.

    Attributes:
        alarm: Its name.
        step: The step.
        saw: What was found, as a sentence with the numbers.
    """

    alarm: str
    step: int
    saw: str

    @property
    def means(self) -> str:
        """What it usually means."""
        return _MEANINGS[self.alarm][0]

    @property
    def attempt(self) -> str:
        """What to try."""
        return _MEANINGS[self.alarm][1]

    def __str__(self) -> str:
        return f"{self.alarm} at step {self.step}: {self.saw} {self.means} {self.attempt}"


def parse_alarms(text: str) -> frozenset[str]:
    """Read names of alarms.

    Args:
        text: Names separated by commas, as in "collapse,divergence"; may be empty.

    Returns:
        The names.

    Raises:
        UsageError: There is no alarm of a name; the message has the nearest one.
    """
    names = [name for name in text.replace(" ", "").split(",") if name]
    for name in names:
        check_alarm(name)
    return frozenset(names)


def check_alarm(name: str) -> None:
    """UsageError if there is no alarm of this name."""
    if name not in ALARMS:
        raise UsageError(f"There is no alarm '{name}'; {did_you_mean(name, list(ALARMS))}")


class Diagnostics:
    """All alarms over one run; `findings` are those raised so far, in order."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._states = {rule.name: RuleState() for rule in ALARM_RULES}
        self._diverged = False
        self._checked_alarms: set[str] = set()
        self._unjudged: list[str] = []

    def logs(self, step: int, logs: Mapping[str, float], model: nn.Module) -> list[Finding]:
        """Alarms raised by a step's logs; the model is searched only if a number is not finite.

        Args:
            step: The step.
            logs: What was logged, by name.
            model: The model that is searched for the first tensor that is not finite.

        Returns:
            The alarms that this step raised.
        """
        self._checked_alarms.add("divergence")
        bad = next((name for name, value in logs.items() if not math.isfinite(value)), None)
        if bad is None:
            self._diverged = False
            return self._look(step, {name: (value, logs.get(f"error/{name}", 0.0)) for name, value in logs.items()})
        if self._diverged:
            return []
        self._diverged = True
        phase = model.phase(step - 1) if isinstance(model, Model) else ""
        where = f" in the phase '{phase}'" if phase else ""
        found = Finding("divergence", step, f"{bad} is {logs[bad]}{where}; {first_bad_tensor(model)}.")
        self.findings.append(found)
        return [found]

    def scores(self, step: int, evaluation: Evaluation) -> list[Finding]:
        """Alarms raised by an evaluation.

        Args:
            step: The step.
            evaluation: The model's scores.

        Returns:
            The alarms that these scores raised.
        """
        results = evaluation.metrics.items()
        return self._look(step, {name: (result.value, result.standard_error or 0.0) for name, result in results})

    def final(self, step: int, evaluation: Evaluation, floor: Evaluation) -> list[Finding]:
        """Alarms raised by the final scores, compared with the noise floor.

        Args:
            step: The last step.
            evaluation: The model's scores.
            floor: Those of real images.

        Returns:
            The alarms that these scores raised.
        """
        self._unjudged = [name for name in evaluation.metrics if name not in floor.metrics]
        if any(name in evaluation.metrics and name in floor.metrics for name in KINDS):
            self._checked_alarms.add("collapse")
        raised = [Finding(alarm, step, saw) for alarm, saw in shortfalls(evaluation, floor)]
        self.findings += raised
        return raised

    def final_translations(self, step: int, evaluation: Evaluation, trivial: Mapping[str, Evaluation]) -> list[Finding]:
        """Alarms raised by the final scores of translations, compared with those of trivial methods.

        Args:
            step: The last step.
            evaluation: The model's scores.
            trivial: Those of the methods, by name.

        Returns:
            The alarms that these scores raised.
        """
        raised = [Finding("quality", step, saw) for saw in no_better(evaluation, trivial)]
        self.findings += raised
        return raised

    def verdict(self) -> str:
        """A summary: what was found, if anything, and what could not be checked."""
        parts = [str(finding) for finding in self.findings]
        unseen = [alarm for alarm in ALARMS if alarm not in self._checked_alarms]
        if not parts:
            checked = [alarm for alarm in ALARMS if alarm in self._checked_alarms]
            parts.append(f"Nothing suspicious: no sign of {_listed(checked)}." if checked else "Nothing was checked.")
        if self._unjudged:
            parts.append(f"Not judged, because the noise floor has no value for them: {', '.join(self._unjudged)}.")
        if unseen:
            parts.append(f"Not checked, because the numbers that they need were not logged: {_listed(unseen)}.")
        return "\n".join(parts)

    def state(self) -> dict[str, Any]:
        """The state as plain data, for `restore`: a resumed run raises the same alarms as an uninterrupted one."""
        return {
            "memories": {name: asdict(state) for name, state in self._states.items()},
            "diverged": self._diverged,
            "looked": sorted(self._checked_alarms),
            "findings": [asdict(finding) for finding in self.findings],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned.

        Args:
            state: The state.
        """
        self._states |= {name: RuleState(**state) for name, state in state["memories"].items()}
        self._diverged = bool(state["diverged"])
        self._checked_alarms = set(state["looked"])
        self.findings = [Finding(**finding) for finding in state["findings"]]

    def _look(self, step: int, seen: Readings) -> list[Finding]:
        raised: list[Finding] = []
        for rule in ALARM_RULES:
            if rule.reads(seen):
                self._checked_alarms.add(rule.alarm)
                raised += self._raised_by(rule, step, seen)
        self.findings += raised
        return raised

    def _raised_by(self, rule: AlarmRule, step: int, seen: Readings) -> Iterator[Finding]:
        """The finding of a rule, if it has held for exactly its patience."""
        state = self._states[rule.name]
        saw = rule.check(seen, state)
        state.streak = state.streak + 1 if saw else 0
        if saw and state.streak == rule.patience:
            yield Finding(rule.alarm, step, saw)


def first_bad_tensor(model: nn.Module) -> str:
    """The first tensor of a model, in the order of its layers, with a number that is not finite; as text."""
    tensors: Sequence[Callable[[], Iterator[tuple[str, Tensor | None]]]] = (
        lambda: iter(model.named_parameters()),
        lambda: ((name, parameter.grad) for name, parameter in model.named_parameters()),
        lambda: iter(model.named_buffers()),
    )
    for part, named in zip(_PARTS, tensors, strict=True):
        for name, tensor in named():
            if tensor is not None and not bool(tensor.isfinite().all()):
                bad = int((~tensor.isfinite()).sum())
                return f"the first bad tensor is the {part} {name}, in {bad} of its {tensor.numel()} numbers"
    return "weights, gradients and buffers are still finite, so it comes from a loss"


def _listed(alarms: Sequence[str]) -> str:
    words = [_SPOKEN.get(alarm, alarm) for alarm in alarms]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
