"""`ganeval cache`: cached features, so that unchanged images are not read again."""

import click

from ganeval.tables import facts
from ganeval.wording import size_text
from ganeval_cli.console import out
from ganeval_cli.io import to_json
from ganeval_cli.options import FORMAT


@click.group()
def cache() -> None:
    """Features kept on this machine.

    The environment variable GANEVAL_CACHE sets the folder.
    """


@cache.command(params=[FORMAT])
def info(*, format: str) -> None:
    """Where the cache is, and how much is in it."""
    from ganeval.cache import cache_info

    found = cache_info()
    if format == "json":
        out(to_json({"folder": str(found.root), "arrays": found.entries, "bytes": found.bytes}))
    else:
        out(facts([("folder", str(found.root)), ("arrays", str(found.entries)), ("size", size_text(found.bytes))]))


@cache.command()
def clear() -> None:
    """Remove the kept features. Downloaded weights and data sets stay."""
    from ganeval.cache import clear_cache

    removed = clear_cache()
    out(f"{removed.root}: removed {removed.entries} arrays, {size_text(removed.bytes)}")
