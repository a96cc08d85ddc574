"""`ganeval variants`: the reference GANs, their papers and targets; for one of them, recipes, targets and layers."""

from collections.abc import Iterator
from dataclasses import asdict

import click

from ganeval.errors import UsageError
from ganeval.tables import Table, facts
from ganeval_cli.console import columns, out, wrapped_entry
from ganeval_cli.io import to_json
from ganeval_cli.listings import tell_problems
from ganeval_cli.options import FORMAT, command
from reference_models import (
    VARIANTS,
    Recipe,
    Target,
    Variant,
    find_variant,
    make_plan,
    recipe_to_dict,
)


@command(FORMAT)
@click.argument("variant", required=False)
@click.option("--preset", metavar="NAME", help="The preset to show.  [default: paper]")
@click.option("--network", help="Another network of the same paper, if there is one.")
def variants(*, variant: str | None, preset: str | None, network: str | None, format: str) -> None:
    """The reference GANs: papers, targets, layers."""
    if variant is None and (preset is not None or network is not None):
        raise UsageError("--preset and --network apply to one variant; name it, as in `ganeval variants dcgan`.")
    preset = preset or "paper"
    if variant is None:
        out(
            to_json({"variants": [_fields(row) for row in VARIANTS.usable().values()]})
            if format == "json"
            else "\n\n".join(wrapped_entry(_listed(row)) for row in VARIANTS.usable().values())
        )
        tell_problems(VARIANTS)
        return
    row = find_variant(variant)
    recipe = row.recipe(preset)
    if network is not None:
        recipe = make_plan(variant, preset=preset, chosen={"network": network}).recipe
    out(to_json(_fields(row) | _built(recipe)) if format == "json" else "\n\n".join(_details(row, recipe)))


def _listed(row: Variant) -> Iterator[str]:
    """The lines of a variant in the list."""
    yield f"{row.name}: {row.paper}"
    yield f"{row.task}; {sum(row.parameters.values()) / 1e6:.1f}M parameters"
    if told := _targets(row):
        yield told


def _targets(row: Variant) -> str:
    """The published numbers of a variant's first recipe with any, and the recipe's source if not the paper."""
    for preset, recipe in row.recipes.items():
        if recipe.targets:
            told = ", ".join(f"{one.metric} {one.value:g} ({_name(one.data)})" for one in recipe.targets)
            return told if preset == "paper" else f"{told}, by {preset}"
    return ""


def _name(data: str) -> str:
    """The data set of a split."""
    return data.partition(":")[0]


def _fields(row: Variant) -> dict[str, object]:
    recipes = {name: recipe_to_dict(recipe) for name, recipe in row.recipes.items()}
    return {
        **{"name": row.name, "title": row.title, "paper": row.paper, "task": row.task},
        **{"networks": row.networks, "parameters": dict(row.parameters), "recipes": recipes},
    }


def _built(recipe: Recipe) -> dict[str, object]:
    """The details that need the built model: parameters and layers."""
    from reference_models import summarize_recipe

    summary = summarize_recipe(recipe)
    return {
        "preset": recipe.preset,
        "counted": summary.parameters,
        "layers": [asdict(one) for one in summary.layers],
    }


def _details(row: Variant, recipe: Recipe) -> Iterator[str]:
    built = _built(recipe)
    yield wrapped_entry([f"{row.name}: {row.title}", row.paper])
    yield "\n".join(wrapped_entry([f"{preset}: {_followed(one)}"]) for preset, one in row.recipes.items())
    targets = [f"{preset}: {_target(one)}" for preset, recipe in row.recipes.items() for one in recipe.targets]
    if targets:
        yield "\n".join(wrapped_entry([told]) for told in targets)
    yield facts([("preset", recipe.preset), *_settings(recipe)], columns())
    counted = built["counted"]
    assert isinstance(counted, dict)
    yield facts([(name, f"{count:,} parameters") for name, count in counted.items()])
    listed = built["layers"]
    assert isinstance(listed, list)
    lines = [(one["name"], one["kind"], _shape(one["shape"]), f"{one['parameters']:,}") for one in listed]
    yield Table(("layer", "kind", "output", "parameters"), lines).text(columns())


def _followed(recipe: Recipe) -> str:
    """The source of a recipe's settings, and its differences."""
    return f"follows {recipe.follows}" + (f"; but {recipe.differs}" if recipe.differs else "")


def _settings(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """A recipe's values, except those shown before."""
    for name, value in recipe_to_dict(recipe).items():
        if name in ("variant", "preset", "follows", "differs", "targets") or value is None:
            continue
        if not isinstance(value, dict):
            yield name, str(value)
            continue
        for inner, entry in value.items():
            if entry is not None:
                yield f"{name}.{inner}", _worded(entry)


def _worded(value: object) -> str:
    """A setting in one line: Adam(lr=0.0002, betas=(0.5, 0.999))."""
    if isinstance(value, dict):
        inside = ", ".join(f"{name}={_worded(entry)}" for name, entry in value.items() if name != "kind")
        return f"{value.get('kind', '')}({inside})"
    return str(tuple(value)) if isinstance(value, list) else str(value)


def _target(target: Target) -> str:
    """A published score, its data and its source."""
    counts = [f"{n} {side}" for n, side in ((target.real, "real"), (target.fake, "fake")) if n is not None]
    of = ", ".join([part for part in (target.data, target.protocol) if part] + counts)
    standing = f"{target.standing}, from memory" if target.recalled else target.standing
    return f"{target.metric} {target.value:g} ({of}), {standing}, by {target.source}"


def _shape(shape: object) -> str:
    assert isinstance(shape, tuple)
    return " x ".join(map(str, shape)) or "1"
