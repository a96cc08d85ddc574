"""Hints for unknown words."""

from ganeval.errors import LISTED, did_you_mean


def test_a_long_list_is_cut_to_the_nearest_names() -> None:
    """Of more names than an error can show, the nearest few are named, with how many there are."""
    known = [f"model{i:04d}" for i in range(LISTED + 1)]
    found = did_you_mean("zz0042", known)
    assert found.startswith(f"the nearest of {LISTED + 1} names are: ")
    assert "model0042" in found
    assert found.count(",") == 7


def test_what_is_no_word_is_hinted_at_too() -> None:
    """A setting may be given as None or a number."""
    assert did_you_mean(None, ["fid", "kid"]) == did_you_mean(5, ["fid", "kid"]) == "choose from: fid, kid."


def test_a_short_list_is_shown_whole() -> None:
    """A list that an error can show is shown as a whole, where no name is near."""
    assert did_you_mean("zz", ["fid", "kid"]) == "choose from: fid, kid."


def test_of_equally_near_names() -> None:
    """One with the same letters in another order is meant before others, and else the first of the list."""
    assert did_you_mean("fdi", ["fwd", "fid", "fld"]) == "did you mean 'fid'?"
    assert did_you_mean("fud", ["fid", "fwd", "fld"]) == "did you mean 'fid'?"
    assert did_you_mean("fids", ["sfid", "fid"]) == "did you mean 'fid'?"
