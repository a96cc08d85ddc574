"""extract and merge: what they print and write, and the examples that use them."""

import json
from pathlib import Path

import pytest
from cli_helpers import Run

DIGITS = ("--extractor", "digits", "--batch-size", "8")


def test_shards_stand_for_the_folder(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """`extract --shard` and `merge` write a file that gives the FID of its images; a second `extract` reads nothing."""
    parts = [tmp_path / f"part-{number}-of-3.npz" for number in (1, 2, 3)]
    for number, part in enumerate(parts, 1):
        printed = run("extract", digits[0], "-o", part, "--shard", f"{number}/3", *DIGITS)
        assert printed.exit_code == 0
    assert printed.stdout == f"{parts[2]}: features of 16 of 40 images\n"
    again = run("extract", digits[0], "-o", parts[2], "--shard", "3/3", *DIGITS, "-v")
    assert again.stdout.splitlines() == [
        f"{parts[2]}: features of 16 of 40 images; they already existed, so nothing was read",
        "skipped   0",
        "features  64",
        "logits    10",
    ]
    merged = run("merge", *reversed(parts), "-o", tmp_path / "ref.npz", "--format", "json")
    about = json.loads(merged.stdout)
    assert about == {
        "file": str(tmp_path / "ref.npz"),
        "images": 40,
        "of": 40,
        "skipped": 0,
        "shards": 3,
        "missing": [],
        "outputs": {"features": 64, "logits": 10},
        "written": True,
    }
    values = [
        json.loads(run("fid", real, digits[1], *DIGITS, "--no-cache", "--format", "json").stdout)["metrics"]
        for real in (digits[0], tmp_path / "ref.npz")
    ]
    assert values[0] == values[1]
    stats = [run("stats", real, "-o", tmp_path / "s.npz", *DIGITS, "-q") for real in (digits[0], tmp_path / "ref.npz")]
    assert [one.exit_code for one in stats] == [0, 0]


def test_missing_shards_are_allowed_only_when_asked(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """`merge` refuses some of the shards without --partial, and no command takes a partial file."""
    part, some = tmp_path / "1.npz", tmp_path / "some.npz"
    run("extract", digits[0], "-o", part, "--shard", "1/2", *DIGITS)
    refused = run("merge", part, "-o", some)
    assert refused.exit_code == 1
    assert "missing: shard 2 of 2" in refused.stderr
    assert run("merge", part, "-o", some, "--partial").stdout == f"{some}: features of 16 of 40 images\n"
    incomplete = run("fid", some, digits[1], *DIGITS)
    assert incomplete.exit_code == 2
    assert "some.npz holds 16 of 40 images; missing: shard 2 of 2" in incomplete.stderr


def test_images_that_were_left_out_are_not_counted_as_features(
    run: Run, digits: tuple[str, str], tmp_path: Path
) -> None:
    """Of 105 images one is damaged: the file has all of them, and features of the others."""
    folder = tmp_path / "images"
    folder.mkdir()
    images = sorted(Path(digits[0]).iterdir())
    for number in range(105):
        (folder / f"{number:03}.png").write_bytes(images[number % len(images)].read_bytes())
    (folder / "007.png").write_bytes(b"")
    found = run("extract", folder, "-o", tmp_path / "x.npz", "--on-error", "skip", *DIGITS)
    assert found.stdout == f"{tmp_path / 'x.npz'}: features of 105 images, without 1 that could not be read\n"


MISTAKES = {
    "no shard": (("--shard", "3"), "--shard 3 does not name a shard; write I/N, as in --shard 3/8."),
    "shard 0": (("--shard", "0/2"), "Shard 0 of 2 does not exist"),
    "no shards": (("--shard", "1/0"), "A set is extracted in 1 to 300,000 shards, found 0."),
    "more shards than there could be": (("--shard", f"1/{10**20}"), "1 to 300,000 shards, found 100,000,000,000,000"),
    "another ending": (("-o", "x.dat"), "x.dat must end in .npz"),
    "several extractors": (("--extractor", "digits,pixels"), "Features are extracted with one extractor"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told(mistake: str, run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """Exit code 2 and a sentence."""
    arguments, message = MISTAKES[mistake]
    found = run("extract", digits[0], "-o", tmp_path / "x.npz", *DIGITS, *arguments)
    assert found.exit_code == 2
    assert message in found.stderr


def test_a_part_is_not_overwritten_by_the_merged_file(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """The output may not be one of the parts."""
    run("extract", digits[0], "-o", tmp_path / "1.npz", *DIGITS)
    found = run("merge", tmp_path / "1.npz", "-o", tmp_path / "1.npz")
    assert found.exit_code == 2
    assert "would overwrite a file that this command uses" in found.stderr
    found = run("extract", tmp_path / "1.npz", "-o", tmp_path / "1.npz", *DIGITS)
    assert "would overwrite a file that this command uses" in found.stderr


def test_another_extractor_is_refused_before_it_is_opened(run: Run, digits: tuple[str, str], tmp_path: Path) -> None:
    """Features of digits are refused for inception, whose weights are not there."""
    run("extract", digits[0], "-o", tmp_path / "1.npz", *DIGITS)
    found = run("fid", tmp_path / "1.npz", digits[1])
    assert found.exit_code == 2
    assert "was measured with extractor 'digits', and this measurement has 'inception'" in found.stderr
