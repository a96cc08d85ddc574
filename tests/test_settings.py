"""Settings: errors are found at once, and equivalent values are accepted."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganeval.autocast import PRECISIONS
from ganeval.errors import UsageError
from ganeval.extractors.weights import weights_path
from ganeval.paths import cache_root, data_root
from ganeval.protocols import PROTOCOLS
from ganeval.settings import ON_ERROR, MeasuringKeywords, ReadingKeywords, Settings, SettingsKeywords


def test_every_default_is_a_valid_choice() -> None:
    """The defaults are valid."""
    chosen = Settings.of({})
    assert chosen == Settings()
    assert (chosen.extractor, chosen.protocol, chosen.precision, chosen.cache) == (
        "inception",
        "tensorflow",
        "fp32",
        True,
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"extracter": "digits"}, "Unknown setting 'extracter'; did you mean 'extractor'?"),
        ({"zzz": 1}, "Unknown setting 'zzz'; choose from: extractor, protocol, weights"),
        ({"protocol": "cleen"}, "Unknown protocol 'cleen'; did you mean 'clean'?"),
        ({"precision": "fp64"}, "'fp64' is not a known precision; did you mean 'fp16'?"),
        ({"on_error": "ignore"}, "'ignore' is not a known on_error; choose from: fail, skip."),
        ({"batch_size": 0}, "batch_size must be at least 1, found 0."),
        ({"workers": -1}, "workers must be at least 1, found -1."),
        ({"num_samples": 0}, "num_samples must be at least 1, found 0."),
        ({"batch_size": 2.5}, "batch_size must be a whole number, found 2.5."),
        ({"num_samples": True}, "num_samples must be a whole number, found True."),
        ({"num_samples": "100"}, "num_samples must be a whole number, found '100'."),
        ({"seed": np.arange(2)}, "seed must be a whole number, found array([0, 1])."),
        ({"seed": None}, "seed must be a whole number, found None."),
        ({"seed": -1}, "seed must be between 0 and 4294967295, found -1."),
        ({"cuda_graphs": 1}, "cuda_graphs must be True or False, found 1."),
        ({"cache": "no"}, "cache must be True or False, found 'no'; cache_dir names the folder."),
        ({"cache_dir": 3}, "cache_dir must be a path, found 3."),
        ({"seed": 2**32}, "seed must be between 0 and 4294967295, found 4294967296."),
    ],
)
def test_a_wrong_setting_is_refused(wrong: dict[str, object], message: str) -> None:
    """The error says what was found and what is allowed."""
    with pytest.raises(UsageError) as error:
        Settings.of(wrong)
    assert str(error.value).startswith(message)
    assert error.value.exit_code == 2


@settings(max_examples=40)
@given(
    st.sampled_from([name for protocol in PROTOCOLS.values() for name in (protocol.name, *protocol.aliases)]),
    st.sampled_from(PRECISIONS),
    st.sampled_from(ON_ERROR),
    st.none() | st.integers(1, 10**9),
    st.integers(0, 2**32 - 1),
)
def test_every_documented_value_is_accepted(
    protocol: str, precision: str, on_error: str, count: int | None, seed: int
) -> None:
    """The value is kept as given."""
    chosen = Settings.of(
        {
            "protocol": protocol,
            "precision": precision,
            "on_error": on_error,
            "batch_size": count,
            "workers": count,
            "num_samples": count,
            "seed": seed,
        }
    )
    assert (chosen.protocol, chosen.num_samples, chosen.seed) == (protocol, count, seed)


def test_integers_of_numpy_become_pythons() -> None:
    """A seed from an array can be written to JSON."""
    chosen = Settings.of({"seed": np.int64(3), "num_samples": np.uint8(4)})
    assert type(chosen.seed) is type(chosen.num_samples) is int


def test_paths_may_be_text() -> None:
    """Paths may be strings, and ~ is expanded."""
    chosen = Settings.of({"weights": "w.pth", "cache_dir": "~/cache"})
    assert chosen.weights == Path("w.pth")
    assert chosen.cache_dir == Path.home() / "cache"


def test_settings_cannot_be_changed_afterwards() -> None:
    """Assigning a field is an error."""
    with pytest.raises(AttributeError):
        Settings().seed = -1  # type: ignore[misc]


def test_decoding_threads_follow_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default is one per available core, at most eight, and an explicit number takes precedence."""
    assert Settings(workers=3).decoding_threads == 3
    for cores, expected in ((1, 1), (4, 4), (64, 8)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)), raising=False)
        assert Settings().decoding_threads == expected


@pytest.mark.parametrize(
    ("variable", "ask"),
    [("GANEVAL_CACHE", cache_root), ("GANEVAL_DATA", data_root), ("GANEVAL_WEIGHTS", weights_path)],
)
def test_a_home_folder_that_nobody_has_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, ask: Callable[[], Path]
) -> None:
    """A `~user` of an unknown user is an error that names the variable, or the setting."""
    monkeypatch.setenv(variable, "~nosuchuser/x")
    with pytest.raises(UsageError, match=f"{variable} is ~nosuchuser/x, and there is no home folder of that name"):
        ask()
    with pytest.raises(UsageError, match="weights is ~nosuchuser"):
        Settings(weights=Path("~nosuchuser"))


def test_keywords_are_the_fields_of_settings() -> None:
    """The keywords in signatures are the fields of Settings with their types, and none is required."""
    fields = get_type_hints(Settings)
    assert get_type_hints(SettingsKeywords) == fields
    assert get_type_hints(MeasuringKeywords).items() <= fields.items()
    assert get_type_hints(ReadingKeywords) == {name: kind for name, kind in fields.items() if name != "num_samples"}
    assert not SettingsKeywords.__required_keys__
