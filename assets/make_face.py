"""Make face.png: the head and shoulders of the NASA portrait of Eileen Collins that scikit-image ships.

usage: python make_face.py face.png        (needs scikit-image and Pillow)
"""

import sys
from pathlib import Path

from PIL import Image, ImageFilter
from skimage import data

# Left, top, right, bottom in the 512x512 picture: the whole hair, both shoulders, the face a third of the width.
CROP = (65, 0, 385, 320)
SIDE = 1024


def main(target: Path) -> None:
    """Crop, enlarge and sharpen a little, and write an opaque RGBA PNG."""
    portrait = Image.fromarray(data.astronaut()).crop(CROP)
    large = portrait.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    sharp = large.filter(ImageFilter.UnsharpMask(radius=3, percent=60, threshold=2))
    sharp.convert("RGBA").save(target, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
