"""How long the steps of face-mask removal take on photos of 12 megapixels, without the network or with it.

    python -m benchmarks.faces_pipeline [--network] [--threads N] [--max-faces N] [--rounds N]

The photos are the astronaut that scikit-image carries, with a drawn face mask, enlarged until the face is as high as
the table says, on a canvas of 3,000 × 4,000 or, for a face that fills the photo, 4,000 × 3,000 pixels, with noise like
a sensor's over all of it. The reference is the same photo without the face mask, mirrored. In the place of the network
stands a module that gives back the warped reference; with ``--network`` the shipped one takes its turn, and its time is
in the last column too.

Faces are looked for as the command ``remove`` does by default. Medians in milliseconds. "Hole" is finding and growing
the hole and cutting out the crop; "reference" warping and relighting; "paste" everything after the network. Reading and
writing files is not in it.
"""

import argparse
import statistics
import time
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from skimage.data import astronaut

from examples.mask_removal.pipeline import load_default, remove_mask
from examples.mask_removal.remove import LEAST
from gatedinpaint import InpaintGenerator, InpaintOutput
from gatedinpaint.faces import FaceLandmarker, draw_face_mask, face_height
from gatedinpaint.image import Photo

STEPS = {"landmarks": "landmarks", "hole": "find the hole", "reference": "warp the reference", "paste": "paste"}
LYING, UPRIGHT = (3000, 4000), (4000, 3000)
SCENES = ((350, LYING), (650, LYING), (1500, LYING), (1650, LYING), (2000, UPRIGHT))
"""Height of the face in pixels, and (height, width) of the photo."""


class WithoutNetwork(InpaintGenerator):
    """In the generator's place: what it is given."""

    def forward(
        self,
        image: torch.Tensor,
        mask: torch.Tensor,
        reference: torch.Tensor | None = None,
        reference_mask: torch.Tensor | None = None,
    ) -> InpaintOutput:
        if reference is None:
            raise ValueError("reference is needed; got None.")
        shown = torch.where(mask > 0, reference, image)
        return InpaintOutput(shown, shown, image.new_zeros(len(image), 1))


def scene(height: int, size: tuple[int, int], landmarker: FaceLandmarker) -> tuple[Photo, Photo]:
    """A photo with a drawn face mask and its reference."""
    small = np.asarray(astronaut())
    landmarks = landmarker.detect(small)[0].landmarks
    factor = height / face_height(landmarks)
    middle = landmarks.mean(0)
    # The face's middle comes to that of the canvas; the border of the astronaut's photo continues it.
    matrix = np.array([[factor, 0, size[1] / 2 - factor * middle[0]], [0, factor, size[0] / 2 - factor * middle[1]]])
    bare = cv2.warpAffine(small, matrix, size[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    noise = np.random.default_rng(0).standard_normal((*size, 3), dtype=np.float32) * 3
    bare = (bare + noise).clip(0, 255).astype(np.uint8)
    masked, _ = draw_face_mask(bare, landmarks @ matrix[:, :2].T + matrix[:, 2], style="surgical", seed=1)
    return masked, np.ascontiguousarray(bare[:, ::-1])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="The steps of face-mask removal at 12 megapixels.")
    parser.add_argument("--threads", type=int, default=1, help="of torch and of OpenCV")
    parser.add_argument("--max-faces", type=int, default=20, help="faces looked for, as the command's default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--network", action="store_true", help="with the shipped weights")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    landmarker = FaceLandmarker(max_faces=options.max_faces, least=LEAST)
    generator = load_default() if options.network else WithoutNetwork(2).eval()
    steps = STEPS | ({"network": "generator"} if options.network else {})
    print(
        f"12 megapixels, {options.threads} threads, at most {options.max_faces} faces; medians of {options.rounds}, ms"
    )
    print("".join(f"{title:>11}" for title in ("face", "photo", *steps, "all")))
    for height, size in SCENES:
        photo, reference = scene(height, size, landmarker)
        times: dict[str, list[float]] = {name: [] for name in (*steps, "all")}
        for turn in range(options.rounds + 1):
            began = time.perf_counter()
            removal = remove_mask(photo, generator, landmarker, reference=reference)
            whole = time.perf_counter() - began
            if turn:  # the first one warms up
                for name, step in steps.items():
                    times[name].append(1e3 * removal.seconds[step])
                times["all"].append(1e3 * (whole - (0 if options.network else removal.seconds["generator"])))
        row = [str(height), f"{size[1]}x{size[0]}", *(f"{statistics.median(values):.0f}" for values in times.values())]
        print("".join(f"{value:>11}" for value in row), flush=True)


if __name__ == "__main__":
    main()
