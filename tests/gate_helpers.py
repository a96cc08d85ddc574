"""Results made up for the gate's tests."""

import json
from pathlib import Path
from typing import Any

from ganeval.results import Evaluation, MetricResult

DIGEST = "3dc2f7d462cf" + "0" * 52


def metric(value: float = 10.0, error: float | None = 0.3, **changes: Any) -> MetricResult:
    """One metric; lower is better, unless changed."""
    interval = None if error is None else (value - 1.96 * error, value + 1.96 * error)
    fields = {"direction": "lower", "n_real": 1000, "n_fake": 1000, "method": "influence function", "options": {"k": 5}}
    return MetricResult(value=value, standard_error=error, interval=interval, **{**fields, **changes})


def evaluation(metrics: dict[str, MetricResult] | None = None, **provenance: Any) -> Evaluation:
    """A result of these metrics (fid = 10 ± 0.3) with the default provenance, except for the given changes."""
    about = {
        "extractor": "inception",
        "weights_sha256": DIGEST,
        "preprocessing": "tf1 to 299",
        "protocol": "tensorflow",
        "precision": "fp32",
        "device": "cpu",
        "real": {"name": "real", "kind": "folder", "count": 1000, "digest": "a" * 64},
        "fake": {"name": "fake", "kind": "folder", "count": 1000, "digest": None},
        "versions": {"ganeval": "0.1.0"},
        "created": "2026-01-01T00:00:00+00:00",
    }
    return Evaluation({"fid": metric()} if metrics is None else metrics, {**about, **provenance}, comparable=True)


def save(path: Path, result: Evaluation | None = None) -> Path:
    """A result as `--output` writes it."""
    path.write_text(json.dumps((result or evaluation()).to_dict()), encoding="utf-8")
    return path
