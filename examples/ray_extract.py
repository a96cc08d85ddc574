"""Extract the features of images in an object store with Ray Data: `python ray_extract.py s3://in/ s3://out/features.npz`.

Ray reads the images, and every worker holds the network once. The file is used as `features:features.npz`. Rows are
those of ganeval within the rounding of the network, which depends on the batches that Ray makes; for the same bits, and
for files that can be merged and that know their weights, use `ganeval extract --shard` (docs/parts.md).

Needs `pip install "ray[data]"`.
"""

import argparse
from typing import Any

import numpy as np
import torch


class Extract:
    """What `map_batches` calls: a batch of images to rows of features.

    Args:
        extractor: The name of an extractor, as `ganeval extractors` lists them.
        protocol: The name of a protocol.
    """

    def __init__(self, extractor: str, protocol: str) -> None:
        from ganeval.extractors import open_extractor
        from ganeval.protocols import find_protocol

        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.extractor = open_extractor(extractor, protocol=find_protocol(protocol), device=device)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """`path` and `image`, uint8 [H, W, 3] each and of any sizes, to `path` and `features`."""
        with torch.inference_mode():
            images = [torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None] for image in batch["image"]]
            inputs = torch.cat([self.extractor.prepare(image) for image in images])
            rows = self.extractor.forward(inputs, frozenset(("features",)))["features"]
        return {"path": batch["path"], "features": rows.float().cpu().numpy()}


def main() -> None:
    """Read, extract, and write one file in the order of the images' paths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", help="a folder or a bucket")
    parser.add_argument("output", help="the file to write, there or here")
    parser.add_argument("--extractor", default="inception")
    parser.add_argument("--protocol", default="tensorflow")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--gpus", type=float, default=0, help="for each worker")
    chosen = parser.parse_args()

    import ray
    from pyarrow import fs

    extracted = ray.data.read_images(chosen.images, include_paths=True, mode="RGB").map_batches(
        Extract,
        fn_constructor_args=(chosen.extractor, chosen.protocol),
        batch_size=chosen.batch_size,
        concurrency=chosen.workers,
        num_gpus=chosen.gpus,
    )
    paths: list[np.ndarray] = []
    rows: list[np.ndarray] = []
    for batch in extracted.iter_batches():
        paths.append(batch["path"].astype(str))
        rows.append(batch["features"])
    order = np.argsort(np.concatenate(paths))
    place, path = (
        fs.FileSystem.from_uri(chosen.output) if "://" in chosen.output else (fs.LocalFileSystem(), chosen.output)
    )
    with place.open_output_stream(path) as file:
        np.savez(file, features=np.concatenate(rows)[order], extractor=np.array(chosen.extractor))
    print(f"{chosen.output}: features of {len(order)} images")


if __name__ == "__main__":
    main()
