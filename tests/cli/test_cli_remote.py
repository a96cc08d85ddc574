"""Commands read from URLs and write to them."""

import json
from pathlib import Path

import pytest
from cli_helpers import Run

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
pytest.importorskip("aiohttp", reason="aiohttp is not installed")


@pytest.fixture
def remote(digits: tuple[str, str]) -> str:
    """The fakes in fsspec's memory."""
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    for path in Path(digits[1]).iterdir():
        memory.pipe_file(f"/fake/{path.name}", path.read_bytes())
    return "memory://fake"


def test_statistics_and_results_are_at_urls(run: Run, digits: tuple[str, str], remote: str, tmp_path: Path) -> None:
    """A reference is written to a URL and read from there, and the result and the page are those of local files."""
    pytest.importorskip("jinja2", reason="jinja2 is not installed")
    options = ("--extractor", "digits", "-q")
    for place in ("memory://out", str(tmp_path)):
        written = run("stats", digits[0], "-o", f"{place}/ref.npz", *options)
        assert written.stdout.startswith(f"{place}/ref.npz: mean and covariance of 40 images"), written.output
    found = run(
        *("score", "memory://out/ref.npz", remote, "--metrics", "fid", *options),
        *("-o", "memory://out/result.json", "--report", "memory://out/page.html"),
    )
    assert found.exit_code == 0, found.output
    local = run("score", tmp_path / "ref.npz", digits[1], "--metrics", "fid", "--format", "json", *options)
    document = json.loads(fsspec.filesystem("memory").cat_file("/out/result.json"))
    assert document["metrics"] == json.loads(local.stdout)["metrics"]
    assert document["provenance"]["fake"]["name"] == remote
    assert b"</html>" in fsspec.filesystem("memory").cat_file("/out/page.html")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("fid", "memory://none", "digits:test"), "memory://none does not exist. Check the address"),
        (("fid", "digits:test", "nonesuch://x"), "no file system 'nonesuch://'"),
        (
            ("fid", "digits:test", "digits:train", "-o", "https://host/r.json"),
            "cannot be written; results go to a path",
        ),
        (("score", "digits:test", "digits:train", "--report-data", "-o", "memory://r.json"), "next to a local result"),
        (("fid", "digits:test", "https://127.0.0.1:9/a?sig=secret"), "https://127.0.0.1:9/a: the request failed after"),
    ],
)
def test_mistakes_are_found_before_anything_is_computed(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], says: str
) -> None:
    """The message says what is wrong, in one line, without secrets."""
    monkeypatch.setattr("ganeval.file_systems.PAUSES", (0.0,))
    failed = run(*arguments, "--extractor", "digits")
    assert failed.exit_code in (1, 2)
    assert says in failed.stderr
    assert "secret" not in failed.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "https://host/r.json?sig=secret"),
        ("compare", "--runs", "A=https://host/a.json", "--runs", "B=b.json"),
        ("report", "r.json", "-o", "s3://u:secret@bucket/page.html"),
        ("sample", "run", "-o", "https://host/images"),
        ("train", "--resume", "gs://bucket/run"),
    ],
)
def test_a_url_is_refused_where_a_path_is_needed(run: Run, arguments: tuple[str, ...]) -> None:
    """It is named as it was given, without secrets, and not as a folder that does not exist."""
    failed = run(*arguments)
    assert failed.exit_code == 2
    assert "is a URL, but a path on this machine is needed here" in failed.stderr
    assert "://" in failed.stderr
    assert "secret" not in failed.output
