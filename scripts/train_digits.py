"""Train the embedded digits extractor and write its weights: `python scripts/train_digits.py [FILE]`, 20 s on a CPU.

The network learns the train split of the embedded digits, with small random shifts, scaling, rotation, blur and noise,
for two objectives: to classify, and to let a linear decoder reconstruct the image from the features. The decoder is
discarded. Finally every feature is centred and scaled to unit variance over the train split, and the classifier's
weights are adapted so that the logits stay the same.

One thread and one seed: with the same machine and torch it writes the same bytes; elsewhere, the same weights up to
rounding.
"""

import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Generator, Tensor, nn

from ganeval.extractors.digits import DIMENSIONS, INPUT_SIZE, WEIGHTS_FILE, DigitsNetwork, normalised
from ganeval.sources import open_source
from ganeval.sources.base import Reading, ReadReport

SEED = 0
EPOCHS = 80
BATCH = 64
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2
REBUILDING = 4.0


def split(name: str) -> tuple[Tensor, Tensor]:
    """One split of the embedded digits => (network inputs [N, 1, 16, 16], labels [N])."""
    batches = list(open_source(f"digits:{name}").batches(Reading(batch_size=1000), ReadReport()))
    images = torch.cat([group.images for batch in batches for group in batch.groups])
    return normalised(images), torch.tensor([label for batch in batches for label in batch.labels or ()])


def augmented(images: Tensor, rng: Generator) -> Tensor:
    """Inputs, each shifted by up to 1.5 of 16 pixels, scaled by 15%, rotated by 10 degrees, blurred and with noise."""
    n = len(images)
    angle, scale = _uniform(n, 10 * math.pi / 180, rng), 1 + _uniform(n, 0.15, rng)
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    shift_x, shift_y = _uniform(n, 3 / INPUT_SIZE, rng), _uniform(n, 3 / INPUT_SIZE, rng)
    affine = torch.stack([cosine, -sine, shift_x, sine, cosine, shift_y], 1).view(n, 2, 3)
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    # Digits are on black, so the padding is black: -1, which becomes 0 for the sampler.
    moved = F.grid_sample(images + 1, grid, align_corners=False) - 1
    softness = torch.rand(n, 1, 1, 1, generator=rng).square()
    blurred = torch.lerp(moved, F.avg_pool2d(F.pad(moved, (1, 1, 1, 1), mode="replicate"), 3, 1), softness)
    noise = torch.randn(images.shape, generator=rng) * 0.2 * torch.rand(n, 1, 1, 1, generator=rng).square()
    return (blurred + noise).clamp(-1, 1)


def _uniform(n: int, reach: float, rng: Generator) -> Tensor:
    return (torch.rand(n, generator=rng) * 2 - 1) * reach


def train(images: Tensor, labels: Tensor) -> DigitsNetwork:
    """The network after EPOCHS passes, by AdamW with a cosine schedule."""
    torch.manual_seed(SEED)  # the layers initialise themselves from the global generator
    rng = Generator().manual_seed(SEED)
    network, decoder = DigitsNetwork(), nn.Linear(DIMENSIONS, INPUT_SIZE**2)
    parameters = [*network.parameters(), *decoder.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(images), generator=rng)[: steps // EPOCHS * BATCH].view(-1, BATCH):
            x = augmented(images[chosen], rng)
            features = network.embed(network.convolve(x))
            loss = F.cross_entropy(network.classify(features), labels[chosen], label_smoothing=0.05)
            loss = loss + REBUILDING * F.mse_loss(decoder(features), x.flatten(1))
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
    return network.eval()


def standardise(network: DigitsNetwork, images: Tensor) -> None:
    """Centre every feature and scale it to unit variance over `images`; the logits are unchanged."""
    with torch.no_grad():
        std, mean = torch.std_mean(network.embed(network.convolve(images)).double(), 0)
        head, classifier = network.features, network.logits
        classifier.bias.copy_(classifier.bias.double() + classifier.weight.double() @ mean)
        classifier.weight.copy_(classifier.weight.double() * std)
        head.bias.copy_((head.bias.double() - mean) / std)
        head.weight.copy_(head.weight.double() / std[:, None])


def accuracy(network: DigitsNetwork, images: Tensor, labels: Tensor) -> float:
    """The share of `images` that the network classifies correctly."""
    with torch.no_grad():
        return float((network.classify(network.embed(network.convolve(images))).argmax(1) == labels).float().mean())


def main(target: Path) -> None:
    """Train, report the accuracy on both splits, and write `target`."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    images, labels = split("train")
    network = train(images, labels)
    standardise(network, images)
    save_file(network.state_dict(), target)
    held_out = accuracy(network, *split("test"))
    sys.stdout.write(
        f"{target}: {target.stat().st_size:,} bytes; accuracy {accuracy(network, images, labels):.2%} on train, "
        f"{held_out:.2%} held out\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else WEIGHTS_FILE)
