"""Make face.png and hopper.png from portraits in the public domain that scikit-image and matplotlib ship.

usage: python make_face.py FOLDER        (needs scikit-image, matplotlib and Pillow)
"""

import sys
from pathlib import Path

from matplotlib.cbook import get_sample_data
from PIL import Image, ImageFilter
from skimage import data

# Left, top, right, bottom: all of the hair or hat, both shoulders, the face a third of the width.
COLLINS = (65, 0, 385, 320)  # of 512x512
HOPPER = (61, 0, 471, 410)  # of 512x600


def main(folder: Path) -> None:
    """Crop and enlarge; write an opaque RGBA PNG and, of the portrait that has more detail, an RGB one."""
    large = Image.fromarray(data.astronaut()).crop(COLLINS).resize((1024, 1024), Image.Resampling.LANCZOS)
    sharp = large.filter(ImageFilter.UnsharpMask(radius=3, percent=60, threshold=2))
    sharp.convert("RGBA").save(folder / "face.png", optimize=True)
    with get_sample_data("grace_hopper.jpg") as file:
        portrait = Image.open(file).convert("RGB").crop(HOPPER)
    portrait.resize((820, 820), Image.Resampling.LANCZOS).save(folder / "hopper.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
