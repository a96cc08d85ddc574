"""The METRICS table: one row a metric, and the only list of them.

Adding a metric: write `ganeval/metrics/<name>.py` with a pure function of feature arrays that returns an Estimate, and
add its row here. The contract tests, the command line, JSON and `ganeval metrics` read this table.
"""

from collections.abc import Callable

from ganeval.metrics.authenticity import authenticity
from ganeval.metrics.base import Array as Array
from ganeval.metrics.base import Direction as Direction
from ganeval.metrics.base import Metric as Metric
from ganeval.metrics.c2st import c2st_logistic, c2st_mlp
from ganeval.metrics.c2st_1nn import c2st_1nn
from ganeval.metrics.c2st_knn import c2st_knn
from ganeval.metrics.cas import cas
from ganeval.metrics.classes import classes
from ganeval.metrics.conditional_accuracy import conditional_accuracy
from ganeval.metrics.custom import as_metric
from ganeval.metrics.diversity import diversity
from ganeval.metrics.fid import fid
from ganeval.metrics.fid_infinity import fid_infinity
from ganeval.metrics.head_accuracy import head_accuracy
from ganeval.metrics.inception_score import inception_score
from ganeval.metrics.intra_fid import intra_fid
from ganeval.metrics.kid import kid
from ganeval.metrics.memorization import memorization
from ganeval.metrics.mifid import mifid
from ganeval.metrics.mind import mind
from ganeval.metrics.ms_ssim import ms_ssim
from ganeval.metrics.ndb import ndb
from ganeval.metrics.nearest import nearest_distance
from ganeval.metrics.prdc import prdc
from ganeval.metrics.vendi import vendi
from ganeval.registry import Registry

METRICS: Registry[Metric] = Registry(
    "metric",
    group="ganeval.metrics",
    accept=as_metric,
    rows={
        "fid": Metric(
            title="Fréchet inception distance",
            compute=fid,
            real="features",
            fake="features",
            direction="lower",
            source="Heusel et al. 2017",
            takes_moments=True,
        ),
        "sfid": Metric(
            title="Spatial Fréchet inception distance",
            compute=fid,
            real="spatial",
            fake="spatial",
            direction="lower",
            source="Nash et al. 2021",
            takes_moments=True,
        ),
        "fid_infinity": Metric(
            title="FID of infinitely many fakes, extrapolated",
            compute=fid_infinity,
            real="features",
            fake="features",
            direction="lower",
            source="Chong and Forsyth 2020",
            takes_moments=True,
        ),
        "mifid": Metric(
            title="FID, more for memorised fakes",
            compute=mifid,
            real="features",
            fake="features",
            direction="lower",
            source="Bai et al. 2021",
        ),
        "is": Metric(
            title="Inception score",
            compute=inception_score,
            real=None,
            fake="logits",
            direction="higher",
            source="Salimans et al. 2016",
        ),
        "kid": Metric(
            title="Kernel inception distance",
            compute=kid,
            real="features",
            fake="features",
            direction="lower",
            source="Bińkowski et al. 2018",
        ),
        "mind": Metric(
            title="Monge inception distance",
            compute=mind,
            real="features",
            fake="features",
            direction="lower",
            source="Berthet et al.",
        ),
        "precision": Metric(
            title="Precision: fakes among the reals",
            compute=prdc,
            real="features",
            fake="features",
            direction="higher",
            source="Kynkäänniemi et al. 2019",
            family="prdc",
        ),
        "recall": Metric(
            title="Recall: reals among the fakes",
            compute=prdc,
            real="features",
            fake="features",
            direction="higher",
            source="Kynkäänniemi et al. 2019",
            family="prdc",
        ),
        "density": Metric(
            title="Density: reals about each fake",
            compute=prdc,
            real="features",
            fake="features",
            direction="higher",
            source="Naeem et al. 2020",
            family="prdc",
        ),
        "coverage": Metric(
            title="Coverage: reals with a fake nearby",
            compute=prdc,
            real="features",
            fake="features",
            direction="higher",
            source="Naeem et al. 2020",
            family="prdc",
        ),
        "nn": Metric(
            title="Distance of fakes to the nearest real",
            compute=nearest_distance,
            real="features",
            fake="features",
            direction="lower",
            source="the baseline in the details is the reals' own",
        ),
        "authenticity": Metric(
            title="Authentic fakes, in percent",
            compute=authenticity,
            real="features",
            fake="features",
            direction="higher",
            source="Alaa et al. 2022",
        ),
        "ct": Metric(
            title="C_T: fakes nearer to reals than other reals are",
            compute=memorization,
            real="features",
            fake="features",
            direction="closer",
            source="Meehan et al. 2020",
            ideal=0.0,
        ),
        "diversity": Metric(
            title="Spread of fakes over that of reals",
            compute=diversity,
            real="features",
            fake="features",
            direction="higher",
            source="mean pairwise distances",
        ),
        "ms_ssim": Metric(
            title="Likeness of pairs of fakes over that of reals",
            compute=ms_ssim,
            real="images",
            fake="images",
            direction="closer",
            source="Odena et al. 2017",
            ideal=1.0,
        ),
        "vendi": Metric(
            title="Vendi score: kinds of fakes",
            compute=vendi,
            real=None,
            fake="features",
            direction="higher",
            source="Friedman and Dieng 2023",
        ),
        "c2st_1nn": Metric(
            title="Accuracy of real or fake by the nearest neighbour",
            compute=c2st_1nn,
            real="features",
            fake="features",
            direction="closer",
            source="Lopez-Paz and Oquab 2017",
            ideal=0.5,
        ),
        "c2st_knn": Metric(
            title="Accuracy of real or fake by several neighbours",
            compute=c2st_knn,
            real="features",
            fake="features",
            direction="closer",
            source="Lopez-Paz and Oquab 2017",
            ideal=0.5,
        ),
        "c2st_logistic": Metric(
            title="Accuracy of real or fake by logistic regression",
            compute=c2st_logistic,
            real="features",
            fake="features",
            direction="closer",
            source="Lopez-Paz and Oquab 2017",
            ideal=0.5,
        ),
        "c2st_mlp": Metric(
            title="Accuracy of real or fake by a small network",
            compute=c2st_mlp,
            real="features",
            fake="features",
            direction="closer",
            source="Lopez-Paz and Oquab 2017",
            ideal=0.5,
        ),
        "ndb": Metric(
            title="Bins with another share of fakes than of reals",
            compute=ndb,
            real="features",
            fake="features",
            direction="lower",
            source="Richardson and Weiss 2018",
            family="ndb",
        ),
        "jsd": Metric(
            title="Jensen-Shannon divergence of shares of bins",
            compute=ndb,
            real="features",
            fake="features",
            direction="lower",
            source="Richardson and Weiss 2018",
            family="ndb",
        ),
        "mode_coverage": Metric(
            title="The reals' classes that fakes have, too",
            compute=classes,
            real="logits",
            fake="logits",
            direction="higher",
            source="Metz et al. 2017",
            family="classes",
        ),
        "class_balance": Metric(
            title="Fakes that should be of another class",
            compute=classes,
            real="logits",
            fake="logits",
            direction="lower",
            source="total variation",
            family="classes",
        ),
        "intra_fid": Metric(
            title="FID of a class, averaged over classes",
            compute=intra_fid,
            real="features",
            fake="features",
            direction="lower",
            source="Miyato and Koyama 2018",
        ),
        "conditional_accuracy": Metric(
            title="Fakes of the class asked for, by a classifier of reals",
            compute=conditional_accuracy,
            real="features",
            fake="features",
            direction="higher",
            source="Shmelkov et al. 2018",
        ),
        "head_accuracy": Metric(
            title="Fakes of the class asked for, by the extractor's classifier",
            compute=head_accuracy,
            real="logits",
            fake="logits",
            direction="higher",
            source="Shmelkov et al. 2018",
        ),
        "cas": Metric(
            title="Classification accuracy: learned from fakes, tried on reals",
            compute=cas,
            real="features",
            fake="features",
            direction="higher",
            source="Ravuri and Vinyals 2019",
        ),
    },
)


def register_metric(
    name: str,
    metric: Metric | Callable[..., object],
    *,
    title: str | None = None,
    output: Array = "features",
    direction: Direction = "lower",
    ideal: float | None = None,
    source: str = "",
) -> None:
    """Add a metric, for as long as this process runs: to `evaluate`, listings and reports.

    An installed package adds one with an entry point of the group ``ganeval.metrics``, which names a Metric or a
    function.

    Args:
        name: As in ``metrics=[name]``.
        metric: ``metric(real, fake)`` of tensors [N, D] and [M, D], or ``metric(fake)`` where the reals do not matter,
            with keyword-only options; it returns a number or an Estimate. Or a Metric, which says the rest itself.
        title: For listings; the first line of the function's docstring, or else the name.
        output: Of the extractor, of both sets: "features", "logits", "spatial" or "images".
        direction: Which values are better: "lower", "higher", or "closer" to `ideal`.
        ideal: The best value, where `direction` is "closer".
        source: The paper, for listings.

    Raises:
        UsageError: for a name that is taken or cannot be typed, and for what cannot be a metric.

    >>> import ganeval
    >>> def mean_gap(real, fake):
    ...     return (real.mean(0) - fake.mean(0)).norm()
    >>> ganeval.register_metric("mean_gap", mean_gap)
    >>> found = ganeval.evaluate("digits:train", "digits:test", metrics=["mean_gap"], extractor="digits", cache=False)
    >>> list(found.metrics)
    ['mean_gap']
    """
    about = {"title": title, "output": output, "direction": direction, "ideal": ideal, "source": source}
    METRICS.register(name, metric if isinstance(metric, Metric) else as_metric(name, metric, **about))  # type: ignore[arg-type]
