"""Report data are written completely, read back unchanged, and validated."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ganeval import evaluate_pairs
from ganeval.errors import ResultError
from ganeval.report.data import (
    DOCUMENT,
    MAX_BYTES,
    ReportData,
    media_type,
    read_report_data,
    report_data_path,
    write_report_data,
)
from ganeval.report_data import examples_data, texts_data


@pytest.fixture
def kept(report_data: dict[str, ReportData], tmp_path: Path) -> Path:
    """A file of report data."""
    path = tmp_path / "kept.report-data.zip"
    write_report_data(path, next(iter(report_data.values())))
    return path


def rewritten(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The same file with a changed document."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    document = json.loads(members[DOCUMENT])
    change(document)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**members, DOCUMENT: json.dumps(document).encode()}.items():
            archive.writestr(name, data)
    return path


def test_report_data_come_back_as_they_were(report_data: dict[str, ReportData], tmp_path: Path) -> None:
    """Writing and reading changes nothing, and the same report data are the same bytes."""
    for number, one in enumerate(report_data.values()):
        paths = [tmp_path / f"{number}{copy}.zip" for copy in "ab"]
        for path in paths:
            write_report_data(path, one)
        assert read_report_data(paths[0]) == one
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_report_data_lie_beside_their_result() -> None:
    """result.json has result.report-data.zip, and a comparison has one file per generator."""
    assert report_data_path(Path("a/result.json")) == Path("a/result.report-data.zip")
    assert report_data_path(Path("a/both.json"), 2) == Path("a/both.2.report-data.zip")


def test_nothing_half_written_is_left(report_data: dict[str, ReportData], tmp_path: Path) -> None:
    """A missing folder is an error, and a number that JSON cannot represent leaves no file."""
    one = next(iter(report_data.values()))
    with pytest.raises(ResultError, match="cannot be written"):
        write_report_data(tmp_path / "missing" / "a.zip", one)
    pair = replace(one.pairs[0], ratio=float("nan"))
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_report_data(tmp_path / "a.zip", replace(one, pairs=(pair,)))
    assert list(tmp_path.iterdir()) == []


def test_a_newer_schema_is_refused(kept: Path) -> None:
    """The message names both schemas."""
    rewritten(kept, lambda document: document.update(schema=2))
    with pytest.raises(ResultError, match="schema 2; this ganeval reads schema 1"):
        read_report_data(kept)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("created"),
        lambda document: document.update(pairs=3),
        lambda document: document["pairs"][0].update(ratio=float("nan")),
        lambda document: document["pairs"][0].update(ratio=True),
        lambda document: document["pairs"][0].update(fake="fake-12345"),
        lambda document: document["pairs"][0]["distances"].pop(),
        lambda document: document["modes"][0].update(side="neither"),
        lambda document: document["modes"][0]["images"][0].update(picture="fake-12345"),
        lambda document: document.update(examples={"headings": ["input"], "rows": [["input-0"]]}),
        lambda document: document.update(
            examples={"headings": ["a", "b"], "rows": [[next(iter(document["pictures"]))]]}
        ),
        lambda document: document.update(texts=[{"heading": "real", "lines": "one"}]),
        lambda document: document["common_modes"][0].update(side="neither"),
        lambda document: document["common_modes"][0]["images"][0].update(picture="fake-12345"),
        lambda document: document["galleries"]["samples"]["real"][0].update(picture="../secret"),
        lambda document: document["distances"]["edges"].pop(),
        lambda document: document["trade_off"]["recall"].pop(),
        lambda document: document["projection"].update(explained=[0.5]),
        lambda document: document["pictures"].update({"fake-9": 1}),
        lambda document: document.update(galleries=[]),
    ],
)
def test_damage_is_found(kept: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Missing fields, other types, invalid numbers, and inconsistent parts are refused."""
    rewritten(kept, change)
    with pytest.raises(ResultError, match="damaged"):
        read_report_data(kept)


def test_an_archive_without_what_was_added_since_is_read(kept: Path) -> None:
    """What an earlier version did not write is empty."""
    rewritten(kept, lambda document: [document.pop(name) for name in ("modes", "common_modes", "examples", "texts")])
    found = read_report_data(kept)
    assert (found.modes, found.common_modes, found.examples, found.texts) == ((), (), None, ())


def test_examples_and_texts_come_back_as_they_were(tmp_path: Path) -> None:
    """Columns of any size and number of channels, and lines of any text."""
    small, large = torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.full((2, 3, 8, 8), 9, dtype=torch.uint8)
    evaluation = evaluate_pairs(large, large + 1, metrics=["l1"])
    for data in (
        examples_data(evaluation, {"input": small, "output": large}),
        texts_data(evaluation, {"real": ["a \u202e b", ""]}, titles={"l1": "L1"}),
    ):
        write_report_data(tmp_path / "a.zip", data)
        assert read_report_data(tmp_path / "a.zip") == data


def test_what_is_no_archive_of_report_data_is_refused(tmp_path: Path) -> None:
    """A missing file, another file, an archive of something else, and one without JSON."""
    path = tmp_path / "a.zip"
    with pytest.raises(ResultError, match="cannot be read"):
        read_report_data(path)
    path.write_bytes(b"PK but not really")
    with pytest.raises(ResultError, match="damaged, or is not an archive"):
        read_report_data(path)
    for members in ({"a.txt": b""}, {DOCUMENT: b"[1]"}, {DOCUMENT: b"not json"}):
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        with pytest.raises(ResultError, match=f"not an archive of report data|its {DOCUMENT} is not JSON"):
            read_report_data(path)


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path) -> None:
    """Its declared size is checked first."""
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(DOCUMENT, b"0" * (MAX_BYTES + 1))
    assert path.stat().st_size < MAX_BYTES / 100
    with pytest.raises(ResultError, match="more than"):
        read_report_data(path)


def test_a_thumbnail_is_a_png_or_a_jpeg(kept: Path) -> None:
    """Other kinds of files are refused, under any name."""
    with zipfile.ZipFile(kept) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in members if name != DOCUMENT)
    assert media_type(members[name]) == "image/png"
    with zipfile.ZipFile(kept, "w") as archive:
        for each, data in {**members, name: b"<svg onload=alert(1)>"}.items():
            archive.writestr(each, data)
    with pytest.raises(ResultError, match="neither PNG nor JPEG"):
        read_report_data(kept)
