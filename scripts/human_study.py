"""How well metrics rank models as people do: correlation with the human study of dgm-eval.

    python scripts/human_study.py --results "cifar10=DIR" [--results "imagenet256=DIR"]

DIR has a saved result for each model, as `ganeval score REAL FAKE -o DIR/BigGAN.json` writes it; a result of several
extractors (`--extractor A,B`) has a row for each. The samples are published by dgm-eval. human_study.json has the
study's rates: how often people took a model's images for real.

Prints Spearman's correlation of a metric with these rates, and its 95% interval by bootstrap over models. A metric of
which less is better has a negative one if it agrees with people.
"""

import argparse
import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

from ganeval.errors import GanevalError, UsageError
from ganeval.results import Evaluation, parse_document
from ganeval.tables import Table

STUDY = Path(__file__).with_name("human_study.json")
LEAST = 4
RESAMPLES = 1000


class Correlation(NamedTuple):
    """Of one metric by one extractor with the human rates; no interval where all resamples are degenerate."""

    value: float
    interval: tuple[float, float] | None
    models: int


def human_rates() -> dict[str, dict[str, float]]:
    """The share of images that people took for real, by data set and model."""
    found: dict[str, dict[str, float]] = json.loads(STUDY.read_text(encoding="utf-8"))["error_rates"]
    return found


def correlation(values: Sequence[float], rates: Sequence[float], *, resamples: int = RESAMPLES) -> Correlation:
    """Spearman's correlation over models, with the percentiles of a bootstrap over them."""
    pairs = np.array([values, rates])
    rng = np.random.RandomState(0)
    with warnings.catch_warnings():
        # Of models that are all alike there is no correlation: nan.
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        value = float(stats.spearmanr(*pairs).statistic)
        draws = rng.randint(pairs.shape[1], size=(resamples, pairs.shape[1]))
        drawn = np.array([stats.spearmanr(*pairs[:, rows]).statistic for rows in draws])
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return Correlation(value, None, pairs.shape[1])
    low, high = np.percentile(known, (2.5, 97.5))
    return Correlation(value, (float(low), float(high)), pairs.shape[1])


def saved_values(folder: Path, rates: Mapping[str, float], data: str) -> dict[tuple[str, str], dict[str, float]]:
    """By metric and extractor, the value of every model that has it; UsageError for too few or unknown models."""
    files = sorted(folder.glob("*.json"))
    unknown = [one.stem for one in files if one.stem not in rates]
    if unknown:
        raise UsageError(
            f"{folder}: the study of {data} has no {', '.join(unknown)}; name results as {', '.join(rates)}."
        )
    if len(files) < LEAST:
        raise UsageError(f"{folder} has results of {len(files)} models; a correlation needs at least {LEAST}.")
    found: dict[tuple[str, str], dict[str, float]] = {}
    for file in files:
        for one in _results(file):
            for metric, result in one.metrics.items():
                found.setdefault((metric, str(one.provenance["extractor"])), {})[file.stem] = result.value
    return found


def _results(file: Path) -> list[Evaluation]:
    """The result of a file, or those by all its extractors."""
    document = parse_document(file.read_text(encoding="utf-8"), name=str(file))
    if isinstance(document, dict) and isinstance(document.get("extractors"), dict):
        return [Evaluation.from_dict(one, name=f"{file}: {name}") for name, one in document["extractors"].items()]
    return [Evaluation.from_dict(document, name=str(file))]


def correlations(data: str, folder: Path) -> dict[tuple[str, str], Correlation]:
    """Of every metric and extractor that at least four models have."""
    study = human_rates()
    if data not in study:
        raise UsageError(f"The study has no '{data}' here; choose from: {', '.join(study)}.")
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; give the one that has the saved results.")
    rates = study[data]
    return {
        key: correlation(list(values.values()), [rates[model] for model in values])
        for key, values in saved_values(folder, rates, data).items()
        if len(values) >= LEAST
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 2 for what cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", action="append", required=True, metavar="DATA=DIR")
    rows = []
    try:
        for text in parser.parse_args(arguments).results:
            data, equals, folder = text.partition("=")
            if not equals:
                raise UsageError(f"'{text}' names no folder; write for example cifar10=results/.")
            for (metric, extractor), one in correlations(data, Path(folder)).items():
                interval = "-" if one.interval is None else f"{one.interval[0]:.2f} to {one.interval[1]:.2f}"
                rows.append((data, metric, extractor, f"{one.value:.3f}", interval, str(one.models)))
    except (GanevalError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(Table(("data", "metric", "extractor", "Spearman", "95% interval", "models"), tuple(rows)).text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
