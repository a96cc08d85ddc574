"""Ways to compute KID's products of features: their time on one core, and how far they move KID.

Most of the time of KID goes into the products of all pairs of rows, which KID has in float32, 256 rows at a time. The
times are of the process, so that other work on the machine hardly changes them, and without the cubes and sums, except
where these are named.
"""

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.harness import save, say, table
from ganeval.metrics.kid import _kernel, kid
from ganeval.metrics.ustatistics import BLOCK_ROWS, between

DIMENSIONS, COUNT = 2048, 2048
Product = Callable[[Tensor, Tensor], Tensor]


def main(*, runs: int) -> None:
    """Each way, the best of some runs in turn, relative to the products as KID has them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(0)
    real, fake = (torch.rand(COUNT, DIMENSIONS, generator=rng) ** power for power in (3.0, 2.5))
    estimate = kid(real, fake)
    assert estimate.standard_error is not None
    ways: dict[str, tuple[Callable[[], object], Product | None]] = {
        name: (partial(product, real, fake), product) for name, product in PRODUCTS.items()
    }
    ways["the first, with the cubes and sums: KID as it is"] = (partial(between, real, fake, _kernel), None)
    ways["tiles of 512 x 512, with the cubes and sums"] = (partial(tiled, real, fake), None)
    ways["numpy's symmetric product, of half of the pairs"] = (lambda: real.numpy() @ real.numpy().T, None)
    seconds: dict[str, float] = dict.fromkeys(ways, float("inf"))
    for _ in range(runs):
        for name, (way, _) in ways.items():
            start = time.process_time()
            way()
            seconds[name] = min(seconds[name], time.process_time() - start)
    first, figures, rows = seconds[next(iter(seconds))], {}, []
    for name, (_, product) in ways.items():
        moved = None if product is None else abs(value(real, fake, product) - estimate.value) / estimate.standard_error
        say(f"  {name}: {seconds[name]:.3f} s, {moved}")
        figures[name] = {"seconds": seconds[name], "moved": moved}
        rows.append([name, f"{seconds[name] / first:.2f}", "" if moved is None else f"{moved:.0e}"])
    torch.set_num_threads(threads)
    text = table([f"products of two sets of {COUNT} x {DIMENSIONS}", "time", "change of KID, in standard errors"], rows)
    save("kid-products", figures, text)


def value(real: Tensor, fake: Tensor, product: Product) -> float:
    """KID from these products."""
    means = []
    for one, other in ((real, real), (fake, fake), (real, fake)):
        kernel = (product(one, other).double() / DIMENSIONS + 1) ** 3
        if one is other:
            kernel.fill_diagonal_(0)
        means.append(float(kernel.sum()) / (COUNT * (COUNT - 1 if one is other else COUNT)))
    return means[0] + means[1] - 2 * means[2]


def in_blocks(first: Tensor, second: Tensor, rows: int) -> Tensor:
    """So many rows at a time."""
    return torch.cat([first[top : top + rows] @ second.T for top in range(0, len(first), rows)])


def strassen(first: Tensor, second: Tensor) -> Tensor:
    """One level of Strassen's algorithm (1969): seven products of a quarter of each matrix for eight."""
    (a, b), (c, d) = (half.chunk(2, 1) for half in first.chunk(2))
    (e, f), (g, h) = (half.chunk(2, 1) for half in second.T.chunk(2))
    one, two, three = (a + d) @ (e + h), (c + d) @ e, a @ (f - h)
    four, five, six, seven = d @ (g - e), (a + b) @ h, (c - a) @ (e + f), (b - d) @ (g + h)
    upper = torch.cat([one + four - five + seven, three + five], 1)
    return torch.cat([upper, torch.cat([two + four, one - two + three + six], 1)])


def bfloat16(first: Tensor, second: Tensor) -> Tensor:
    """Of features rounded to bfloat16, added up in float32 where the library does so, and rounded."""
    return first.bfloat16() @ second.bfloat16().T


def bfloat16_pairs(first: Tensor, second: Tensor) -> Tensor:
    """Of features as the sum of two bfloat16 numbers; the product of both rests is left out."""
    (a, b), (c, d) = ((side.bfloat16(), (side - side.bfloat16()).bfloat16()) for side in (first, second))
    return (a @ c.T).float() + (a @ d.T).float() + (b @ c.T).float()


def int8(first: Tensor, second: Tensor) -> Tensor:
    """Of features rounded to 127ths of the largest, added up exactly."""
    scale = float(max(first.max(), second.max())) / 127
    one, other = ((side / scale).round().to(torch.int8) for side in (first, second))
    return torch._int_mm(one, other.T).float() * scale**2


def int8_pairs(first: Tensor, second: Tensor) -> Tensor:
    """Of features as the sum of two such numbers, of 15 bits together; the product of both rests is left out."""
    scale = float(max(first.max(), second.max())) / 127
    fine = scale / 254
    a, b = ((side / scale).round().to(torch.int8) for side in (first, second))
    c, d = (((side - whole * scale) / fine).round().to(torch.int8) for side, whole in ((first, a), (second, b)))
    crossed = torch._int_mm(a, d.T) + torch._int_mm(c, b.T)
    return torch._int_mm(a, b.T).float() * scale**2 + crossed.float() * (scale * fine)


def tiled(first: Tensor, second: Tensor, size: int = 512) -> tuple[Tensor, Tensor, float]:
    """Sums of the kernel and of its squares, of square tiles that fit into a cache."""
    rows, columns = (torch.zeros(len(side), dtype=torch.float64) for side in (first, second))
    squares = 0.0
    for top in range(0, len(first), size):
        for left in range(0, len(second), size):
            block = _kernel(first[top : top + size], second[left : left + size])
            rows[top : top + size] += block.sum(1)
            columns[left : left + size] += block.sum(0)
            squares += float(torch.linalg.vector_norm(block)) ** 2
    return rows, columns, squares


PRODUCTS: dict[str, Product] = {
    f"float32, {BLOCK_ROWS} rows at a time: as KID has them": partial(in_blocks, rows=BLOCK_ROWS),
    "float32, 1,024 rows at a time": partial(in_blocks, rows=1024),
    "float32, one level of Strassen's algorithm": strassen,
    "bfloat16": bfloat16,
    "pairs of bfloat16": bfloat16_pairs,
    "int8": int8,
    "pairs of int8": int8_pairs,
}
