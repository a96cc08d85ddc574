"""Training sequences from a file of numbers or text, or from an oracle; read once and kept as one tensor.

`tokens:FILE` has a sequence per line, as whole numbers with spaces between them; all lines are equally long.
`text:FILE` has a sequence of words per line, and `characters:FILE` one of characters; shorter lines are padded with
`<end>`. `oracle:V,T,N` is synthetic (`reference_models.blocks.oracle`).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ganeval.errors import SourceError, UsageError
from ganeval.printable import printable
from reference_models.batches import END, SequenceData
from reference_models.blocks import oracle
from reference_models.blocks.oracle import Oracle
from reference_models.data.specs import CHARACTERS, NO_SEQUENCES, NUMBERS, WORDS, check_data, is_sequences


@dataclass(frozen=True, slots=True)
class Tokens:
    """A whole training set.

    tokens: int64 [N, T]. vocabulary: the words of tokens 0, 1, ... digest: hash of both. about: provenance, as plain
    data. separator: what stands between words in text.
    """

    tokens: Tensor
    vocabulary: tuple[str, ...]
    digest: str
    about: Mapping[str, object]
    separator: str = " "
    class_names: None = None

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def data(self) -> SequenceData:
        """The properties of the sequences that a model is built for."""
        return SequenceData(self.tokens.shape[1], self.vocabulary, self.separator)

    @property
    def what(self) -> str:
        """The phrase for these rows after a number."""
        return f"sequences of {self.tokens.shape[1]} tokens"

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What `Model.parts` takes."""
        return {"tokens": self.tokens}

    def to(self, device: str) -> "Tokens":
        """The same sequences on a device."""
        return replace(self, tokens=self.tokens.to(device))


def tokens_of(
    tokens: Tensor, vocabulary: Sequence[str], *, about: Mapping[str, object] | None = None, separator: str = " "
) -> Tokens:
    """Tensor => Tokens. tokens: int64 [N, T], each from 0 to len(vocabulary) - 1."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((tuple(vocabulary), tuple(tokens.shape))).encode())
    digest.update(tokens.contiguous().cpu().numpy().data)
    return Tokens(tokens, tuple(vocabulary), digest.hexdigest(), dict(about or {}), separator)


def held_out_tokens(spec: str) -> str | None:
    """Further sequences of the same oracle; None for a file."""
    return str(Oracle.of(spec).held_out) if spec.startswith(oracle.SCHEME) else None


def load_tokens(
    spec: str, *, known: SequenceData | None = None, num_samples: int | None = None, seed: int = 0
) -> Tokens:
    """Read every sequence of a source.

    known: the vocabulary and length that (held-out) sequences must have; None to take their own.
    num_samples: a random subset, which the seed determines; None for all.
    Raises UsageError for a spec of another form, SourceError for a file that cannot be read, with the line.
    """
    if not is_sequences(spec):
        raise UsageError(f"'{spec}' is {NO_SEQUENCES}")
    check_data(spec)
    found = _oracle(spec, known) if spec.startswith(oracle.SCHEME) else _file(spec, known)
    if num_samples is None:
        return found
    if not 1 <= num_samples <= len(found):
        raise UsageError(f"{spec} has {len(found)} sequences; a subset has 1 to {len(found)}, not {num_samples}.")
    rows = torch.randperm(len(found), generator=torch.Generator().manual_seed(seed))[:num_samples].sort().values
    about = {**found.about, "count": num_samples}
    return tokens_of(found.tokens[rows], found.vocabulary, about=about, separator=found.separator)


def _oracle(spec: str, known: SequenceData | None) -> Tokens:
    wanted = Oracle.of(spec)
    vocabulary = tuple(map(str, range(wanted.vocabulary)))
    if known is not None and (known.length, known.vocabulary) != (wanted.length, vocabulary):
        raise SourceError(
            f"{spec} has {wanted.length} tokens per sequence, of {wanted.vocabulary}, but the model learns "
            f"{known.length}, of {len(known.vocabulary)}; choose an oracle like that of the training."
        )
    about = {"name": spec, "kind": "oracle", "count": wanted.count, "length": wanted.length, "seed": wanted.seed}
    return tokens_of(wanted.tokens(), vocabulary, about=about)


def _file(spec: str, known: SequenceData | None) -> Tokens:
    scheme, _, name = spec.partition(":")
    scheme, path = f"{scheme}:", Path(name)
    lines = [(number, list(line) if scheme == CHARACTERS else line.split()) for number, line in _lines(path)]
    if scheme == NUMBERS:
        _check_numbers(path, lines)
        lines = [(number, [str(int(word)) for word in words]) for number, words in lines]
    lengths = {len(words) for _, words in lines}
    length = max(lengths) if known is None else known.length
    fills = scheme != NUMBERS and lengths != {length}
    for number, words in lines:
        if len(words) > length or (len(words) < length and scheme == NUMBERS):
            why = "numbers have no word to pad shorter lines with" if scheme == NUMBERS else "no more can be learnt"
            raise SourceError(
                f"Line {number} of {path} has {len(words)} tokens, and the others have {length}: {why}. Make all "
                f"lines equally long{', or write text: or characters: before the file' if scheme == NUMBERS else ''}."
            )
        if scheme != NUMBERS and END in words:
            raise SourceError(f"Line {number} of {path} has the word {END}, which ends a sequence here; rename it.")
    vocabulary = _vocabulary(scheme, lines, fills=fills) if known is None else known.vocabulary
    places = {word: place for place, word in enumerate(vocabulary)}
    for number, words in lines:
        unknown = next((word for word in words if word not in places), None)
        if unknown is not None or (END not in places and len(words) < length):
            what = f"the token {unknown!r}" if unknown is not None else f"only {len(words)} of {length} tokens"
            raise SourceError(
                f"Line {number} of {path} has {what}, which the training sequences do not have; leave the line out, or "
                "train on sequences that have it."
            )
    # Without a padding word, all lines must have one length.
    filler = places.get(END, 0)
    rows = [[places[word] for word in words] + [filler] * (length - len(words)) for _, words in lines]
    about = {"name": spec, "kind": scheme.removesuffix(":"), "count": len(rows), "length": length}
    return tokens_of(torch.tensor(rows), vocabulary, about=about, separator="" if scheme == CHARACTERS else " ")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The number (from 1) and text of every line; blank lines are an error except at the end of the file."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        wrong = error.object[: error.start].count(b"\n") + 1
        raise SourceError(f"Line {wrong} of {path} is not UTF-8; save the file as UTF-8 text.") from error
    lines = text.rstrip("\r\n").split("\n")
    if lines == [""]:
        raise SourceError(f"{path} is empty; it must have a sequence per line.")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise SourceError(f"Line {number} of {path} is blank; every line must be a sequence. Delete it.")
        yield number, line.removesuffix("\r")


def _check_numbers(path: Path, lines: Sequence[tuple[int, Sequence[str]]]) -> None:
    """SourceError for a word that is not a token."""
    for number, words in lines:
        wrong = next((word for word in words if not (word.isascii() and word.isdecimal())), None)
        if wrong is not None:
            raise SourceError(
                f"Line {number} of {path} has {wrong!r}; tokens are whole numbers of 0 or more, with spaces between "
                f"them. For words, write {WORDS}{path}."
            )
        large = next((word for word in words if len(word) > 8 or int(word) >= oracle.MAX_SIZE), None)
        if large is not None:
            raise SourceError(
                f"Line {number} of {path} has the token {printable(large)}; the largest is {oracle.MAX_SIZE - 1}. "
                "Number the tokens from 0 without gaps."
            )


def _vocabulary(scheme: str, lines: Sequence[tuple[int, Sequence[str]]], *, fills: bool) -> tuple[str, ...]:
    """All words that occur, in order, after the padding word if `fills`; for numbers, 0 to the largest."""
    if scheme == NUMBERS:
        return tuple(map(str, range(1 + max(int(word) for _, words in lines for word in words))))
    return (*[END] * fills, *sorted({word for _, words in lines for word in words}))
