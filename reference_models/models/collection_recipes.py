"""The common settings of pytorch-gan-collections' presets: data, length, rates, and the protocol of its scores.

Settings are those of configs/*.txt and the defaults of its four programs. They draw twice as many fakes for the
generator as a batch has images, decay both rates to 0, and score 50,000 fakes against the 50,000 training images
(https://github.com/w86763777/pytorch-gan-collections).
"""

from collections.abc import Mapping

from reference_models.recipes import Adam, Latent, Linear, Optimizer, Recipe, Target

STEPS = 100_000
SOURCE = "pytorch-gan-collections, Readme.md"


def collection(
    variant: str,
    program: str,
    *,
    scores: tuple[float, float],
    latent: int,
    batch: int,
    betas: tuple[float, float],
    settings: object,
    network: str = "paper",
    cnn: bool = False,
    flips: bool = True,
) -> Recipe:
    """A recipe of the collection.

    scores: FID and inception score. cnn: whether it uses the program's second, plain network instead of the ResNet.
    """
    adam = Adam(Linear(2e-4, 0.0), betas)
    optimizers: Mapping[str, Optimizer] = {"discriminator": adam, "generator": adam}
    fid, inception = scores
    return Recipe(
        variant=variant,
        preset="pytorch-gan-collections-cnn" if cnn else "pytorch-gan-collections",
        follows=f"pytorch-gan-collections, {program}",
        data="cifar10:train",
        resolution=32,
        channels=3,
        latent=Latent(latent),
        batch=batch,
        steps=STEPS,
        optimizers=optimizers,
        network=network,
        settings=settings,
        flips=flips,
        differs="it scores floating-point images; here they are first rounded to 8 bits",
        targets=(_target("fid", fid), _target("is", inception)),
    )


def _target(metric: str, value: float) -> Target:
    return Target(
        metric=metric,
        value=value,
        data="cifar10:train",
        protocol="tensorflow",
        source=SOURCE,
        real=50_000,
        fake=50_000,
    )
