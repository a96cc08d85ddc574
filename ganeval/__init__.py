"""ganeval: how good is this image generator, and can you trust and compare that number?

    import ganeval

    result = ganeval.fid("photographs/", "samples/")
    print(result.value, result.standard_error)

Public names are imported when they are first used, so that `import ganeval` is instant and imports no torch.
"""

from types import MappingProxyType
from typing import TYPE_CHECKING

from ganeval.lazy import lazy_names
from ganeval.version import __version__

if TYPE_CHECKING:
    from ganeval.caption_score import clip_score
    from ganeval.comparing import compare, compare_extractors, compare_runs
    from ganeval.comparison import Comparison, Difference, ExtractorsComparison
    from ganeval.errors import GanevalError
    from ganeval.evaluation import (
        evaluate,
        evaluate_extractors,
        evaluate_protocols,
        fid,
        inception_score,
        noise_floor,
    )
    from ganeval.extractors import register_extractor
    from ganeval.extractors.user import extractor
    from ganeval.metrics import register_metric, register_pair_metric
    from ganeval.metrics.fid import frechet_distance
    from ganeval.pairs import PairValues, compare_pairs, evaluate_pairs
    from ganeval.part_files import ExtractedPart, extract_features, merge_parts
    from ganeval.path_length import perceptual_path_length
    from ganeval.ranks import distributed_work
    from ganeval.reference_statistics import write_reference
    from ganeval.report_data.named import most_discriminable_images, nearest_images
    from ganeval.results import Evaluation, MetricResult
    from ganeval.run_statistics import compare_saved_runs
    from ganeval.runs import MethodDifference, RunsComparison, Spread
    from ganeval.settings import Settings
    from ganeval.sources import open_source, register_source
    from ganeval.sources.pairs import Pairs, open_pairs
    from ganeval.sources.precomputed import Features
    from ganeval.streaming import Evaluator

# Where each public name lives.
_HOMES = MappingProxyType(
    {
        "Comparison": "ganeval.comparison",
        "Difference": "ganeval.comparison",
        "Evaluation": "ganeval.results",
        "Evaluator": "ganeval.streaming",
        "ExtractorsComparison": "ganeval.comparison",
        "ExtractedPart": "ganeval.part_files",
        "Features": "ganeval.sources.precomputed",
        "GanevalError": "ganeval.errors",
        "MethodDifference": "ganeval.runs",
        "MetricResult": "ganeval.results",
        "Pairs": "ganeval.sources.pairs",
        "PairValues": "ganeval.pairs",
        "RunsComparison": "ganeval.runs",
        "Settings": "ganeval.settings",
        "Spread": "ganeval.runs",
        "extractor": "ganeval.extractors.user",
        "register_extractor": "ganeval.extractors",
        "register_metric": "ganeval.metrics",
        "register_pair_metric": "ganeval.metrics",
        "register_source": "ganeval.sources",
        "compare": "ganeval.comparing",
        "compare_extractors": "ganeval.comparing",
        "compare_pairs": "ganeval.pairs",
        "compare_runs": "ganeval.comparing",
        "compare_saved_runs": "ganeval.run_statistics",
        "distributed_work": "ganeval.ranks",
        "evaluate": "ganeval.evaluation",
        "evaluate_extractors": "ganeval.evaluation",
        "evaluate_pairs": "ganeval.pairs",
        "evaluate_protocols": "ganeval.evaluation",
        "extract_features": "ganeval.part_files",
        "fid": "ganeval.evaluation",
        "frechet_distance": "ganeval.metrics.fid",
        "inception_score": "ganeval.evaluation",
        "merge_parts": "ganeval.part_files",
        "most_discriminable_images": "ganeval.report_data.named",
        "nearest_images": "ganeval.report_data.named",
        "noise_floor": "ganeval.evaluation",
        "open_pairs": "ganeval.sources.pairs",
        "open_source": "ganeval.sources",
        "clip_score": "ganeval.caption_score",
        "perceptual_path_length": "ganeval.path_length",
        "write_reference": "ganeval.reference_statistics",
    }
)

__all__ = [
    "Comparison",
    "Difference",
    "Evaluation",
    "Evaluator",
    "ExtractedPart",
    "ExtractorsComparison",
    "Features",
    "GanevalError",
    "MethodDifference",
    "MetricResult",
    "PairValues",
    "Pairs",
    "RunsComparison",
    "Settings",
    "Spread",
    "__version__",
    "clip_score",
    "compare",
    "compare_extractors",
    "compare_pairs",
    "compare_runs",
    "compare_saved_runs",
    "distributed_work",
    "evaluate",
    "evaluate_extractors",
    "evaluate_pairs",
    "evaluate_protocols",
    "extract_features",
    "extractor",
    "fid",
    "frechet_distance",
    "inception_score",
    "merge_parts",
    "most_discriminable_images",
    "nearest_images",
    "noise_floor",
    "open_pairs",
    "open_source",
    "perceptual_path_length",
    "register_extractor",
    "register_metric",
    "register_pair_metric",
    "register_source",
    "write_reference",
]


__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    """The public names, whether they were used yet or not."""
    return sorted(__all__)
