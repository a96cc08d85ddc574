"""The networks of pytorch-gan-collections that differ from the papers': its DCGAN, and a plain one for three GANs.

Its scores on CIFAR-10 are targets of the presets of that name (https://github.com/w86763777/pytorch-gan-collections).
Its residual networks are those of `networks.py`, with other widths.

Generators start from R/16 x R/16 or R/8 x R/8 feature maps and map float32 [N, latent size] to [N, C, R, R] through a
tanh; discriminators map images to logits [N].
"""

from itertools import pairwise

from torch import nn

from reference_models.blocks.networks import SLOPE, check_resolution, draw_normal, shrink

RESOLUTIONS = (32, 48, 64, 96, 128)
PLAIN_SLOPE = 0.1


def plain_generator(latent: int, channels: int, resolution: int, *, width: int) -> nn.Sequential:
    """A dense layer to R/8 x R/8, three strided 4 x 4 upsampling convolutions, a last 3 x 3 convolution.

    width: channels of the last hidden layer; each upsampling halves the channels. Batch normalisation and ReLU
    everywhere except at the output; weights N(0, 0.02), gains 1.
    """
    check_resolution("pytorch-gan-collections' network", resolution, RESOLUTIONS)
    side, widths = resolution // 8, [width * 8, width * 4, width * 2, width]
    layers: list[nn.Module] = [nn.Linear(latent, widths[0] * side**2), nn.Unflatten(1, (widths[0], side, side))]
    for before, after in pairwise(widths):
        layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)]
    layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh()]
    network = nn.Sequential(*layers)
    draw_normal(network, gains=0.0)
    return network


def plain_discriminator(channels: int, resolution: int, *, width: int) -> nn.Sequential:
    """Alternating 3 x 3 and strided 4 x 4 convolutions down to R/8 x R/8, then a dense layer.

    Leaky ReLU 0.1, no normalisation. width: channels of the first layer.
    """
    check_resolution("pytorch-gan-collections' network", resolution, RESOLUTIONS)
    widths = [width, width * 2, width * 4, width * 8]
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(PLAIN_SLOPE)]
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(PLAIN_SLOPE)]
        layers += [nn.Conv2d(after, after, 3, padding=1), nn.LeakyReLU(PLAIN_SLOPE)]
    layers += [nn.Flatten(), nn.Linear(widths[-1] * (resolution // 8) ** 2, 1), nn.Flatten(0)]
    network = nn.Sequential(*layers)
    draw_normal(network)
    return network


def wide_generator(latent: int, channels: int, resolution: int, *, width: int) -> nn.Sequential:
    """The collection's DCGAN generator: R/16 x R/16 feature maps, then four strided 4 x 4 upsampling convolutions.

    width: channels of the last hidden layer. Weights have torch's default initialisation.
    """
    check_resolution("pytorch-gan-collections' network", resolution, RESOLUTIONS)
    side, widths = resolution // 16, [width * 8, width * 4, width * 2, width]
    start = nn.ConvTranspose2d(latent, widths[0], side, bias=False)
    layers: list[nn.Module] = [nn.Unflatten(1, (latent, 1, 1)), start]
    for before, after in pairwise(widths):
        enlarged = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)
        layers += [nn.BatchNorm2d(before), nn.ReLU(), enlarged]
    last = nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU(), last, nn.Tanh())


def narrow_discriminator(channels: int, resolution: int, *, width: int) -> nn.Sequential:
    """The collection's DCGAN discriminator: four strided 5 x 5 convolutions, then a dense layer.

    Batch normalisation follows the leaky ReLU. width: channels of the first layer. Weights have torch's default
    initialisation.
    """
    check_resolution("pytorch-gan-collections' network", resolution, RESOLUTIONS)
    widths = [width, width * 2, width * 4, width * 8]
    layers: list[nn.Module] = [shrink(channels, width, 5), nn.LeakyReLU(SLOPE)]
    for before, after in pairwise(widths):
        layers += [shrink(before, after, 5), nn.LeakyReLU(SLOPE), nn.BatchNorm2d(after)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * (resolution // 16) ** 2, 1), nn.Flatten(0))
