"""Scores of a model of sequences: likelihoods and BLEU, next to those of real sequences."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from platform import python_version

from torch import Tensor

from ganeval import __version__
from ganeval.errors import UsageError, did_you_mean
from ganeval.metrics import Estimate
from ganeval.pipeline import ALL, MetricNames, metric_result
from ganeval.results import Evaluation
from reference_models.base import Model, SequenceModel
from reference_models.batches import END
from reference_models.data.tokens import Tokens, held_out_tokens, load_tokens
from reference_models.engine.sequences import drawn
from reference_models.engine.training import Training
from reference_models.scoring.seen import told
from reference_models.scoring.sequences import LIMIT, SEQUENCE_METRICS, nll_oracle, nll_test, self_bleu

# Default maximum number of sequences to draw.
DRAWN = 1000


@dataclass(frozen=True, slots=True)
class SequenceScoring:
    """Scores a model of sequences.

    known: the training sequences. held_out: real sequences that it was not trained on; None for none. metrics: names,
    or None for all that can be computed. count: sequences to draw; None for as many as are held out, at most DRAWN.
    """

    known: Tokens
    held_out: Tokens | None
    metrics: tuple[str, ...] | None
    count: int | None
    seed: int

    @property
    def oracle(self) -> str | None:
        """The oracle of the training sequences, if they have one."""
        return str(self.known.about["name"]) if self.known.about.get("kind") == "oracle" else None

    @property
    def against(self) -> str:
        """What the model is compared with, in words."""
        apart = "" if self.held_out is None else f", and {self.held_out.about['name']} (held out)"
        return f"the training sequences{apart}"

    @property
    def of_what(self) -> tuple[str, tuple[str, ...]]:
        """A description of the sequences of the floor, and caveats."""
        if self.held_out is None:
            return f"{len(self._real())} of the training sequences", ()
        return told(self.held_out.about["name"], self.held_out.tokens, self.known.tokens, what="real sequences")

    @property
    def obstacles(self) -> Mapping[str, str]:
        """Metrics that cannot be computed, with the reason."""
        found = {}
        if self.oracle is None:
            found["nll_oracle"] = "the training sequences are of no oracle"
        if self.held_out is None:
            found["nll_test"] = "no sequences are held out (--held-out)"
        counts = {"those of the model (--num-samples)": self._drawn, "the real ones": len(self._real())}
        of, count = min(counts.items(), key=lambda one: one[1])
        for name, row in SEQUENCE_METRICS.items():
            if count < row.least and name not in found:
                found[name] = f"it takes {row.least} sequences or more, but {of} are {count}"
        return found

    def check(self) -> None:
        """UsageError for a named metric that cannot be computed."""
        obstacles = self.obstacles
        for name in self.metrics or ():
            if name in obstacles:
                raise UsageError(f"'{name}' cannot be measured here: {obstacles[name]}. Choose other metrics.")

    def check_any(self) -> None:
        """UsageError if no metric can be computed."""
        if not self._names:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.obstacles.items())
            raise UsageError(
                f"No metric can be measured here ({reasons}). Give more sequences; without scores, `ganeval train` "
                "trains."
            )

    def of(self, model: Model, *, name: str) -> Evaluation:
        """The scores of a model's sequences, the same ones every time."""
        assert isinstance(model, SequenceModel)
        tokens = drawn(model, self._drawn, seed=self.seed)
        found = self._measured(tokens, lambda held_out: nll_test(model, held_out))
        return self._evaluation(found, name, len(tokens))

    def score(self, model: Model) -> Evaluation:
        """The scores of a model while it trains; UsageError if there are none."""
        self.check_any()
        return self.of(model, name=model.recipe.variant)

    def text(self, model: Model, count: int) -> Mapping[str, Sequence[str]]:
        """Some of a model's sequences, and real ones, as text by heading."""
        assert isinstance(model, SequenceModel)
        own, real = drawn(model, count, seed=self.seed), self._real()[:count]
        return {"written by the model": model.data.text(own), "real": model.data.text(real)}

    def of_real(self) -> Evaluation:
        """The scores of real sequences in place of generated ones: held-out sequences, or else the last training
        sequences.

        Their NLL-test is that under the oracle, the minimum for any generator except by chance.
        """
        rows, oracle = self._real(), self.oracle

        def under_oracle(held_out: Tensor) -> Estimate | None:
            return None if oracle is None else nll_oracle(held_out, oracle)

        found = self._measured(rows, under_oracle)
        return self._evaluation(found, "real sequences", len(rows))

    @property
    def _drawn(self) -> int:
        """Number of sequences to draw."""
        return self.count or min(DRAWN, max(3, len(self.held_out or self.known)))

    def _rows(self, tokens: Tensor) -> list[list[int]]:
        return rows_of(tokens, self.known.vocabulary)

    def _real(self) -> Tensor:
        if self.held_out is not None:
            return self.held_out.tokens
        return self.known.tokens[-min(DRAWN, len(self.known) // 2) :]

    @property
    def _references(self) -> Tensor:
        """References of BLEU: training sequences that are not scored themselves."""
        return self.known.tokens[: LIMIT if self.held_out is not None else min(LIMIT, len(self.known) // 2)]

    def _for_self_bleu(self, tokens: Tensor) -> list[list[int]]:
        """Self-BLEU grows with the number of sequences, so at most as many real ones are used as are drawn."""
        return self._rows(tokens[: self._drawn])

    @property
    def _names(self) -> Collection[str]:
        return [name for name in self.metrics or SEQUENCE_METRICS if name not in self.obstacles]

    def _measured(self, tokens: Tensor, test: Callable[[Tensor], Estimate | None]) -> Mapping[str, Estimate]:
        """The metrics of some sequences. test: NLL-test, of the held-out ones."""
        held_out = None if self.held_out is None else self.held_out.tokens
        arguments: Mapping[str, tuple[object, ...]] = {
            "nll_test": (held_out,),
            "nll_oracle": (tokens, self.oracle),
            "bleu": (self._rows(tokens), self._rows(self._references)),
            "self_bleu": (self._for_self_bleu(tokens),),
        }
        functions: dict[str, Callable[..., Estimate | None]] = {
            **{name: row.compute for name, row in SEQUENCE_METRICS.items()},
            "nll_test": test,
        }
        found = {name: functions[name](*arguments[name]) for name in self._names}
        return {name: one for name, one in found.items() if one is not None}

    def _evaluation(self, found: Mapping[str, Estimate], name: str, count: int) -> Evaluation:
        ideal = self_bleu(self._for_self_bleu(self._real())).value if "self_bleu" in found else None
        options: Mapping[str, Mapping[str, object]] = {
            "nll_oracle": {"oracle": self.oracle},
            "bleu": {"n": 4, "limit": LIMIT},
            "self_bleu": {"n": 4, "limit": LIMIT},
        }
        used = {"nll_test": 0 if self.held_out is None else len(self.held_out), "bleu": len(self._references)}
        metrics = {
            metric: metric_result(
                one,
                direction=SEQUENCE_METRICS[metric].direction,
                n_real=used.get(metric),
                n_fake=min(count, LIMIT, self._drawn) if metric == "self_bleu" else count,
                options=options.get(metric, {}),
                ideal=ideal if metric == "self_bleu" else None,
                of_reals=False,
            )
            for metric, one in found.items()
        }
        own = self.oracle is not None
        caveat = (
            f"Numbers under {self.oracle} are not comparable with those under another oracle, such as the authors'."
        )
        warnings = (caveat,) if own else ()
        return Evaluation(
            metrics, self._provenance(name, count), comparable=not own, warnings=warnings, estimates=found
        )

    def _provenance(self, name: str, count: int) -> dict[str, object]:
        """How it was measured; there is no extractor, and no weights except the model's."""
        real = {**self.known.about, "digest": self.known.digest}
        return {
            **{"extractor": "none", "weights": "none", "weights_sha256": None, "published_weights": False},
            **{"preprocessing": "sequences as they are", "protocol": "sequences", "precision": "fp32"},
            **{"dimensions": None, "device": "cpu", "seed": self.seed, "real": real},
            "fake": {"name": name, "kind": "sequences", "count": count},
            "versions": {"ganeval": __version__, "python": python_version()},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def sequence_scoring(
    training: Training, *, held_out: str | None, metrics: tuple[str, ...] | None, num_samples: int | None
) -> SequenceScoring:
    """The scoring of a training's model; UsageError for a named metric that cannot be computed.

    held_out: a source of held-out sequences; None for further ones of the training's oracle, if it has one.
    """
    known, spec = training.sequences, held_out or held_out_tokens(training.plan.data)
    unseen = None if spec is None else load_tokens(spec, known=known.data)
    scoring = SequenceScoring(known, unseen, metrics, num_samples, training.plan.seed)
    scoring.check()
    return scoring


def find_sequence_metrics(names: MetricNames) -> tuple[str, ...] | None:
    """Names of metrics of sequences, None for all; UsageError for others."""
    if names is None or names == ALL:
        return None
    chosen = [str(name) for name in names]
    for name in chosen:
        if name not in SEQUENCE_METRICS:
            raise UsageError(f"'{name}' is not a metric of sequences; {did_you_mean(name, list(SEQUENCE_METRICS))}")
    return tuple(chosen)


def rows_of(tokens: Tensor, vocabulary: Sequence[str]) -> list[list[int]]:
    """Sequences as lists, each up to its end; an empty one keeps the end token, so that it is not empty."""
    rows: list[list[int]] = tokens.tolist()
    end = vocabulary.index(END) if END in vocabulary else None
    return [row[: max(1, row.index(end))] if end in row else row for row in rows]
