"""Unsupervised representation learning with deep convolutional GANs (Radford, Metz, Chintala 2015)."""

from dataclasses import dataclass

from reference_models.recipes import Adam, Latent, Recipe, Target, Variant


@dataclass(frozen=True, slots=True)
class Settings:
    """width: of the generator's last hidden layer and the discriminator's first."""

    width: int = 128


_COLLECTION = "pytorch-gan-collections, its DCGAN"
_ADAM = Adam(2e-4, (0.5, 0.999))
# On so few images a discriminator as fast as the generator soon knows them by heart.
_SMOKE_JUDGE = Adam(3e-4, (0.5, 0.999))
_SMOKE_MAKER = Adam(1e-3, (0.5, 0.999))

PAPER = Recipe(
    variant="dcgan",
    preset="paper",
    data="celeba:train",
    resolution=64,
    channels=3,
    latent=Latent(100, "uniform"),
    batch=128,
    steps=25 * 2734,  # 25 epochs of 350,000 faces
    optimizers={"discriminator": _ADAM, "generator": _ADAM},
    settings=Settings(),
    targets=(
        Target(metric="fid", value=42.7, data="cifar10:train", protocol="tensorflow", source=_COLLECTION, fake=50_000),
        Target(metric="is", value=6.01, data="cifar10:train", protocol="tensorflow", source=_COLLECTION, fake=50_000),
    ),
)

SMOKE = Recipe(
    variant="dcgan",
    preset="smoke",
    data="digits:train",
    resolution=32,
    channels=1,
    latent=Latent(100, "uniform"),
    batch=32,
    steps=300,
    optimizers={"discriminator": _SMOKE_JUDGE, "generator": _SMOKE_MAKER},
    settings=Settings(width=16),
    ema=0.98,
)

VARIANT = Variant(
    name="dcgan",
    title="Deep convolutional GAN",
    paper="Radford et al. 2015, arXiv:1511.06434",
    task="images",
    model="reference_models.dcgan:DCGAN",
    recipes={"paper": PAPER, "smoke": SMOKE},
    parameters={"discriminator": 17_232_768, "generator": 18_855_040},
    networks=("paper", "upsample"),
)
