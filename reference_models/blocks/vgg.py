"""Losses: distances between images in the features of VGG-19."""

from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from ganeval.errors import WeightsError

# Mean and standard deviation of the colours (red, green, blue; on 0 to 1) that torchvision's weights expect.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The layers up to the last convolution (conv5_4 in the paper's numbering) and its ReLU.
LAYERS = 36
FILE = "vgg19-dcbf9e9d.pth"


@cache
def vgg19(path: str | None, device: str) -> nn.Module:
    """VGG-19 up to conv5_4 and its ReLU, with fixed weights.

    path: a file of torchvision's weights; None for the one in torch's cache.
    Raises WeightsError if there is no such file, or it does not hold these weights; nothing is downloaded.
    """
    import torchvision

    usual = Path(torch.hub.get_dir()) / "checkpoints" / FILE
    file = usual if path is None else Path(path).expanduser()
    if not file.is_file():
        raise WeightsError(
            f"The weights of VGG-19 are not at {file}; copy torchvision's {FILE} there, name another place with --set "
            "vgg=FILE, or choose a loss of the pixels with --set content=pixels."
        )
    with torch.device("meta"):
        network: nn.Module = torchvision.models.vgg19(weights=None).features[:LAYERS]
    try:
        state = torch.load(file, map_location=device, weights_only=True)
        named = {name.removeprefix("features."): weights for name, weights in state.items() if "features." in name}
        network.load_state_dict(named, assign=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{file} does not hold torchvision's weights of VGG-19: {reason}") from error
    return network.eval().requires_grad_(False)


def feature_distance(network: nn.Module, made: Tensor, images: Tensor, *, scale: float) -> Tensor:
    """The mean squared difference of each pair's features, divided by `scale`; [N, 1 or 3, S, S] in [-1, 1] => [N]."""
    mean, deviation = (made.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))

    def features(given: Tensor) -> Tensor:
        found: Tensor = network(((given + 1) / 2 - mean) / deviation)
        return found / scale

    with torch.no_grad():
        wanted = features(images)
    return (features(made) - wanted).square().mean((1, 2, 3))
