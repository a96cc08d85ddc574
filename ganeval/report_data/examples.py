"""Report data of models that translate images or write sequences: examples in rows."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from ganeval.images import to_rgb
from ganeval.metrics import PAIR_METRICS
from ganeval.report.data import Examples, Picture, ReportData, Texts
from ganeval.report_data.image_set import thumbnail
from ganeval.results import Evaluation


def examples_data(evaluation: Evaluation, columns: Mapping[str, Tensor]) -> ReportData:
    """The report data of a model that translates images: examples, a row each.

    Args:
        evaluation: The scores of the model, by metrics of pairs.
        columns: By heading, uint8 ``[N, 1 or 3, H, W]`` each: row i of all columns belongs together. Columns may differ
            in size.

    Returns:
        The report data.

    Raises:
        SourceError: Images have another number of channels.

    >>> import torch
    >>> from ganeval.report_data import examples_data
    >>> images = torch.zeros(4, 3, 16, 16, dtype=torch.uint8)
    >>> found = examples_data(ganeval.evaluate_pairs(images, images + 9), {"input": images, "output": images + 9})
    >>> found.examples.headings, found.examples.rows[3]
    (('input', 'output'), ('input-3', 'output-3'))
    """
    pictures, thumbnails = {}, {}
    for heading, images in columns.items():
        for row, image in enumerate(to_rgb(images.cpu(), where=heading)):
            key = f"{heading}-{row}"
            pictures[key] = Picture(f"{heading} {row}", row, image.shape[2], image.shape[1])
            thumbnails[key] = thumbnail(image)
    count = min(map(len, columns.values()))
    return ReportData(
        str(evaluation.provenance["created"]),
        titles={name: PAIR_METRICS[name].title if name in PAIR_METRICS else name for name in evaluation.metrics},
        pictures=pictures,
        examples=Examples(tuple(columns), tuple(tuple(f"{one}-{row}" for one in columns) for row in range(count))),
        images=thumbnails,
    )


def texts_data(
    evaluation: Evaluation, texts: Mapping[str, Sequence[str]], *, titles: Mapping[str, str] | None = None
) -> ReportData:
    """The report data of a model that writes sequences.

    Args:
        evaluation: The scores of the model.
        texts: Sequences as text, by heading; the model's own first.
        titles: The full names of its metrics, where they have any.

    Returns:
        The report data.
    """
    shown = tuple(Texts(heading, tuple(lines)) for heading, lines in texts.items())
    return ReportData(str(evaluation.provenance["created"]), titles=titles or {}, texts=shown)
