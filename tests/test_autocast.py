"""The precisions: one definition, for scoring and for training."""

import pytest
import torch
from torch import nn

from ganeval.autocast import PRECISIONS, Precision, autocast, check_precision
from ganeval.errors import UsageError
from ganeval.precision import HAS_SWITCHES
from ganeval.settings import Settings
from reference_models.engine.plan import make_plan
from reference_models.engine.reading import read_images
from reference_models.engine.training import Training


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("tf32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_a_precision_is_the_type_of_products(precision: Precision, dtype: torch.dtype) -> None:
    """Products have that type, also inside an autocast of the caller; parameters stay float32."""
    layer = nn.Linear(4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16), autocast("cpu", precision):
        assert layer(torch.ones(2, 4)).dtype is dtype
    assert layer.weight.dtype is torch.float32


def test_fp16_needs_a_gpu_to_score_and_is_not_trained_in() -> None:
    """Each refusal says what to choose instead."""
    with pytest.raises(UsageError, match="choose --precision fp32 or bf16"):
        check_precision("cpu", "fp16")
    with pytest.raises(UsageError, match=r"fp16 is only for scoring.*choose --precision bf16 or fp32"):
        make_plan("gan", precision="fp16")


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_tf32_needs_an_nvidia_gpu_and_is_not_trained_in(device: str) -> None:
    """Elsewhere products would be full, and the result would say otherwise."""
    check_precision("cuda:1", "tf32")
    with pytest.raises(UsageError, match=f"tf32 needs an NVIDIA GPU; on {device} choose --precision fp32 or bf16"):
        check_precision(device, "tf32")
    with pytest.raises(UsageError, match="'tf32' is not a precision to train in; did you mean 'fp32'"):
        make_plan("gan", precision="tf32")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_scoring_knows_every_precision(precision: Precision) -> None:
    """The settings accept each precision that is defined."""
    assert Settings(precision=precision).precision == precision


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_training_has_the_same_precisions(precision: Precision, dtype: torch.dtype) -> None:
    """Layers in training give the same outputs as an extractor's, without TF32."""
    plan = make_plan("gan", precision=precision, chosen={"resolution": 8, "settings.hidden": 8, "batch": 4})
    training = Training(plan, read_images(plan))
    seen: set[tuple[torch.dtype, str]] = set()
    (layer, *_) = (module for module in training.model.modules() if isinstance(module, nn.Linear))
    layer.register_forward_hook(lambda _module, _inputs, output: seen.add((output.dtype, tf32())))
    allow_tf32(allowed=True)
    try:
        training.advance()
        after = tf32()
    finally:
        allow_tf32(allowed=False)
    assert seen == {(dtype, "off")}
    assert after == "on"


def allow_tf32(*, allowed: bool) -> None:
    """Switch TF32 products on a GPU on or off, as this version of torch has it."""
    if HAS_SWITCHES:
        torch.backends.cuda.matmul.fp32_precision = "tf32" if allowed else "none"
    else:
        torch.set_float32_matmul_precision("high" if allowed else "highest")


def tf32() -> str:
    """Whether TF32 products are on."""
    if HAS_SWITCHES:
        return "on" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "off"
    return "on" if torch.get_float32_matmul_precision() == "high" else "off"
