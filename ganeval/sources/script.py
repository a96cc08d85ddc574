"""`script:gen.pt?z=128&law=normal&range=[-1,1]&classes=10`: a TorchScript generator as a live source.

Values missing from the query are read from the module's attributes `z_dim`, `value_range` and `num_classes`.
"""

import warnings
from pathlib import Path
from urllib.parse import parse_qsl

import torch
from torch import Tensor, nn

from ganeval.errors import SourceError, UsageError, did_you_mean
from ganeval.ranges import parse_range

_EXAMPLE = "script:gen.pt?z=128&range=[-1,1]"
_KEYS = ("z", "law", "range", "classes", "device")
_LAWS = ("normal", "uniform")


class ScriptGenerator:
    """A module that is called with z [n, *z_shape], and with labels int64 [n] if it has classes.

    law: "normal" is N(0, 1), "uniform" is U(-1, 1).
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        z_shape: tuple[int, ...],
        law: str,
        value_range: str,
        num_classes: int | None,
        device: str,
    ) -> None:
        self.module = module
        self.value_range = value_range
        self.num_classes = num_classes
        self.device = device
        self._z_shape = z_shape
        self._law = law

    def sample(self, n: int, *, labels: Tensor | None = None, rng: torch.Generator) -> Tensor:
        """Draw n images, as the module returns them."""
        z = torch.empty(n, *self._z_shape, device=self.device)
        z = z.normal_(generator=rng) if self._law == "normal" else z.uniform_(-1, 1, generator=rng)
        images: Tensor = self.module(z) if labels is None else self.module(z, labels)
        return images


def load_script(rest: str) -> ScriptGenerator:
    """Open `FILE[?z=..&law=..&range=..&classes=..&device=..]`; only TorchScript files are loaded."""
    file, _, query = rest.partition("?")
    options = _options(query, rest)
    device = options.get("device", "cpu")
    module = _load(Path(file), device)
    z = options.get("z", getattr(module, "z_dim", None))
    value_range = options.get("range", getattr(module, "value_range", None))
    if z is None or value_range is None:
        raise UsageError(f"script:{rest}: the size of z and the range of the images must be given, as in {_EXAMPLE}.")
    classes = options.get("classes", getattr(module, "num_classes", None))
    try:
        z_shape = tuple(int(size) for size in str(z).split("x"))
        num_classes = None if classes is None else int(classes)
    except ValueError as error:
        raise UsageError(f"script:{rest}: z and classes must be whole numbers (z may be 100x1x1).") from error
    return ScriptGenerator(
        module,
        z_shape=z_shape,
        law=options.get("law", "normal"),
        value_range=parse_range(str(value_range)),
        num_classes=num_classes or None,
        device=device,
    )


def _options(query: str, rest: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for key in options:
        if key not in _KEYS:
            raise UsageError(f"script:{rest}: unknown option '{key}'; {did_you_mean(key, _KEYS)}")
    law = options.get("law", "normal")
    if law not in _LAWS:
        raise UsageError(f"script:{rest}: unknown law '{law}' of z; {did_you_mean(law, _LAWS)}")
    return options


def _load(path: Path, device: str) -> nn.Module:
    if not path.is_file():
        raise SourceError(f"{path.absolute()} does not exist; expected a TorchScript file, as in {_EXAMPLE}.")
    try:
        with warnings.catch_warnings():
            # Newer torch deprecates all of torch.jit, but such files still exist.
            for category in (DeprecationWarning, FutureWarning):
                warnings.filterwarnings("ignore", message=r".*torch\.jit\.", category=category)
            module: nn.Module = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise SourceError(
            f"{path} is not a TorchScript file (a checkpoint or pickle is never loaded here); save the generator with "
            "torch.jit.script(model).save(path) or torch.jit.trace(model, z).save(path)."
        ) from error
    return module
