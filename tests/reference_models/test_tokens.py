"""Training sequences: files of numbers, words and characters, an oracle's, and what is wrong with others."""

from pathlib import Path

import pytest
import torch

from ganeval.errors import SourceError, UsageError
from reference_models.batches import SequenceData
from reference_models.data.specs import check_data, is_there, lasting_data
from reference_models.data.tokens import held_out_tokens, load_tokens
from reference_models.engine.plan import make_plan


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "sequences.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_numbers_are_the_tokens(tmp_path: Path) -> None:
    """The vocabulary runs from 0 to the largest number; leading zeros and line ends of Windows are no difference."""
    path = written(tmp_path, "3 0 1\r\n2 02 2\n")
    found = load_tokens(f"tokens:{path}")
    assert found.tokens.tolist() == [[3, 0, 1], [2, 2, 2]]
    assert found.vocabulary == ("0", "1", "2", "3")
    assert found.data == SequenceData(3, ("0", "1", "2", "3"))


def test_words_are_numbered_in_order_and_shorter_lines_filled_up(tmp_path: Path) -> None:
    """The word that ends a sequence comes first, and text is as it was."""
    text = "the cat sat\na dog\n"
    found = load_tokens(f"text:{written(tmp_path, text)}")
    assert found.vocabulary == ("<end>", "a", "cat", "dog", "sat", "the")
    assert found.tokens.tolist() == [[5, 2, 4], [1, 3, 0]]
    assert found.data.text(found.tokens) == ["the cat sat", "a dog"]


def test_lines_of_one_length_need_no_end(tmp_path: Path) -> None:
    """Characters, spaces among them, are tokens."""
    path = written(tmp_path, "a b\nbab")
    found = load_tokens(f"characters:{path}")
    assert found.vocabulary == (" ", "a", "b")
    assert found.data.text(found.tokens) == ["a b", "bab"]


def test_an_oracles_sequences_have_their_numbers_as_words() -> None:
    """The digest tells seeds apart; further sequences are held out."""
    found = load_tokens("oracle:4,3,20")
    assert found.data == SequenceData(3, ("0", "1", "2", "3"))
    assert found.digest == load_tokens("oracle:4,3,20,0").digest
    assert found.digest != load_tokens("oracle:4,3,20,1").digest
    held_out = held_out_tokens("oracle:4,3,20")
    assert held_out == "oracle:4,3,2,0,20"
    assert len(load_tokens(held_out, known=found.data)) == 2


def test_a_subset_is_drawn_by_the_seed(tmp_path: Path) -> None:
    """The same rows for the same seed, in the order of the file."""
    path = written(tmp_path, "\n".join(map(str, range(20))))
    first, again, other = (load_tokens(f"tokens:{path}", num_samples=5, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.tokens, again.tokens)
    assert not torch.equal(first.tokens, other.tokens)
    assert first.tokens.flatten().tolist() == sorted(first.tokens.flatten().tolist())
    assert len(first.vocabulary) == 20
    with pytest.raises(UsageError, match="a subset has 1 to 20, not 21"):
        load_tokens(f"tokens:{path}", num_samples=21)


@pytest.mark.parametrize(
    ("scheme", "text", "message"),
    [
        ("tokens", "", "is empty"),
        ("text", "\n\n", "is empty"),
        ("tokens", "1 2\n\n3 4\n", "Line 2 of .* is blank"),
        ("tokens", "1 2\n3 x\n", "Line 2 of .* has 'x'; tokens are whole numbers"),
        ("tokens", "1 2\n3 -4\n", "Line 2 of .* has '-4'"),
        ("tokens", "1 2\n3 ²\n", "Line 2 of .* has '²'"),
        ("tokens", "1 99999999999\n", "Line 1 of .* has the token 99999999999; the largest"),
        ("tokens", "1 2\n3\n", "Line 2 of .* has 1 tokens, and the others have 2"),
        ("text", "a b\nc <end>\n", "Line 2 of .* has the word <end>"),
        ("text", b"a b\n\xff c\n", "Line 2 of .* is not UTF-8"),
    ],
)
def test_a_wrong_file_is_refused_with_the_line(tmp_path: Path, scheme: str, text: str | bytes, message: str) -> None:
    """Empty files, blank lines, what is no token, unequal lengths of numbers."""
    with pytest.raises(SourceError, match=message):
        load_tokens(f"{scheme}:{written(tmp_path, text)}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b\nb z\n", "Line 2 of .* has the token 'z', which the training sequences do not have"),
        ("a b\nb\n", "Line 2 of .* has only 1 of 2 tokens"),
        ("a b\na b a\n", "Line 2 of .* has 3 tokens, and the others have 2: no more can be learnt"),
    ],
)
def test_held_out_sequences_have_the_training_vocabulary_and_length(tmp_path: Path, text: str, message: str) -> None:
    """An unknown token, a shorter line where none was, and a longer one are refused with the line."""
    with pytest.raises(SourceError, match=message):
        load_tokens(f"text:{written(tmp_path, text)}", known=SequenceData(2, ("a", "b")))


def test_held_out_numbers_may_lack_the_largest(tmp_path: Path) -> None:
    """The training vocabulary is kept."""
    known = SequenceData(2, ("0", "1", "2"))
    assert load_tokens(f"tokens:{written(tmp_path, '0 1')}", known=known).vocabulary == known.vocabulary
    with pytest.raises(SourceError, match=r"Line 1 of .* has the token '3'"):
        load_tokens(f"tokens:{written(tmp_path, '0 3')}", known=known)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("oracle:100,12", "is not an oracle; write oracle:V,T,N"),
        ("oracle:100,12,-3", "is not an oracle"),
        ("oracle:1,12,10", "needs a vocabulary of 2 or more"),
        ("oracle:5,0,10", "needs a vocabulary"),
        ("oracle:5,5,100000000", "a number above"),
        ("oracle:5,5,5,4294967296", "a seed above 4294967295"),
        ("text:nowhere.txt", "names no file"),
    ],
)
def test_a_spec_without_data_is_refused_before_torch_is_needed(spec: str, message: str) -> None:
    """Oracles that cannot be, and files that are not there."""
    with pytest.raises(SourceError, match=message):
        check_data(spec)


def test_another_oracle_is_not_held_out() -> None:
    """Its vocabulary and length must be those of the training."""
    with pytest.raises(SourceError, match="3 tokens per sequence, of 5, but the model learns 3, of 4"):
        load_tokens("oracle:5,3,10", known=load_tokens("oracle:4,3,10").data)


def test_other_specs_are_of_images() -> None:
    """Reading them as sequences, or sequences as images, is an error of usage that says who learns what."""
    with pytest.raises(UsageError, match=r"gan learns from images, but 'oracle:' is a source of seq.*\(seqgan\)"):
        make_plan("gan", data="oracle:")
    with pytest.raises(
        UsageError, match="seqgan learns from sequences, but 'digits:train' is not a source of sequences"
    ):
        make_plan("seqgan", data="digits:train")
    with pytest.raises(UsageError, match="'digits:train' is not a source of sequences"):
        load_tokens("digits:train")


def test_a_spec_holds_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path becomes absolute, an oracle stays."""
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "1 2")
    assert lasting_data("tokens:sequences.txt") == f"tokens:{tmp_path}/sequences.txt"
    assert lasting_data("oracle:5,3,10") == "oracle:5,3,10"
    assert is_there("tokens:sequences.txt")
    assert not is_there("oracle:5,3,10")
