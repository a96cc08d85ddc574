"""Files are written completely or not at all, for any name, and through links."""

from contextlib import suppress
from pathlib import Path

import pytest

from ganeval.atomic import atomic_path, atomic_write, temporary_path
from ganeval.errors import ResultError
from ganeval.processes import Processes, working
from ganeval.temporaries import delete_temporaries


def test_a_file_is_there_when_the_block_has_ended(tmp_path: Path) -> None:
    """The target has the old bytes during the block and the new ones after it; nothing else is left."""
    path = tmp_path / "result.json"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_of_several_processes_the_first_writes(tmp_path: Path) -> None:
    """Another one's bytes go nowhere, and it goes on only when all have come to the end of the block."""
    met: list[object] = []

    class Second(Processes):
        def exchange(self, value: object) -> list[object]:  # type: ignore[override]
            met.append(value)
            return [value, value]

    with working(Second(1, 2)):
        with atomic_write(tmp_path / "result.json") as file:
            file.write(b"new")
            assert not met
            assert list(tmp_path.iterdir()) == []
        assert len(met) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    """An error in the block is passed on, the old file stays, and the temporary one is removed."""
    path = tmp_path / "result.json"
    path.write_bytes(b"old")
    with pytest.raises(error):
        _fail(path, error)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def _fail(path: Path, error: type[BaseException]) -> None:
    with atomic_write(path) as file:
        file.write(b"half of the n")
        raise error


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """The file that a symbolic link points at is replaced, in its own folder."""
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "result.json", tmp_path / "link.json"
    link.symlink_to(target)
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_folder_replaces_its_path(tmp_path: Path) -> None:
    """A folder appears complete under its name, and not at all after an error."""
    path = tmp_path / "samples"
    with pytest.raises(ValueError, match="stop"):
        _fill(path, error=ValueError("stop"))
    assert not list(tmp_path.iterdir())
    _fill(path, error=None)
    assert [one.name for one in path.iterdir()] == ["0.png"]


def _fill(path: Path, error: ValueError | None) -> None:
    with atomic_path(path) as temporary:
        temporary.mkdir()
        (temporary / "0.png").touch()
        if error is not None:
            raise error


def test_a_long_name_can_be_written(tmp_path: Path) -> None:
    """A file whose name has as many bytes as a name may have is written."""
    path = tmp_path / ("n" * 250 + ".json")
    with atomic_write(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """The error says which file cannot be written and why; `atomic_path` leaves the OSError to its caller."""
    path = tmp_path / "missing" / "result.json"
    with pytest.raises(ResultError, match=r"result\.json cannot be written: No such file or directory\."):
        atomic_write(path).__enter__()
    with pytest.raises(FileNotFoundError), atomic_path(path) as temporary:
        temporary.touch()


def test_temporary_names_are_never_the_same(tmp_path: Path) -> None:
    """Two writers of one file have a temporary name each, in the target's folder."""
    first, second = (temporary_path(tmp_path / "result.json") for _ in range(2))
    assert first != second
    assert first.parent == second.parent == tmp_path
    assert first.suffix == ".tmp"


def test_a_process_that_must_end_deletes_its_temporary_files(tmp_path: Path) -> None:
    """Files and folders of unfinished blocks are deleted; later blocks are not affected."""
    with (
        suppress(FileNotFoundError),
        atomic_path(tmp_path / "file") as file,
        atomic_path(tmp_path / "folder") as folder,
    ):
        file.touch()
        folder.mkdir()
        (folder / "0.png").touch()
        delete_temporaries()
        assert list(tmp_path.iterdir()) == []
    with atomic_write(tmp_path / "file") as later:
        later.write(b"whole")
    delete_temporaries()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
