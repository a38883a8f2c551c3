"""What upstream's accelerated script of EchoMimic is told, and how its finished frames are kept (see parity.py)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

# As small as upstream's own script takes the networks: it hard-codes the first width.
WIDTHS = [320, 64, 64, 64]
SECONDS = 1.25  # four windows of twelve frames, the last two wrapped around the clip's end
SEED = 0  # the run's own, which the setting `seed` overrides
SETTINGS = {
    "size": 128,
    "steps": 6,
    "guidance": 1.0,
    "fps": 24,
    "window": 12,
    "overlap": 3,
    "seed": 420,
    "crop": 0.5,
    "mask": 0.1,
    "open_end": False,
    "speed": "exact",
}
PACKAGES = ("torch", "diffusers", "huggingface-hub", "facenet-pytorch", "numpy", "einops")
NAMED = [
    "colours: upstream hands the face detector a portrait whose red and blue are swapped; here both sides hand it RGB."
    " For this portrait the edges of the box that is found move by up to 4 of 1024 pixels, and the crop with them",
    "length: upstream makes two frames more than the clip has; here its script is told the clip's number (-L)",
    "keys and values of the portrait are computed by a product of their own, once; upstream's single product over frame"
    " and portrait rounds alike for these sizes, and on an H100 in fp16 at full size, but not for every size on a CPU:"
    " at 64x64, 360 frames differ by 5 of 255 at most (65 dB), and by nothing once the product is upstream's",
    "fp16 on a CPU is slow: both sides compute in fp32 here (weight_dtype of upstream's configuration)",
    "upstream's script names the GPU in nine places; here it reads cpu there",
]


def prepare(weights: Path, synthetic: Any) -> None:
    """Write stand-in weights, and the base network that upstream's loader reads before the others overwrite it."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel

    tiny = synthetic.TINY
    shape = {**tiny, "unet": {**tiny["unet"], "block_out_channels": WIDTHS}}
    synthetic.write(weights, shape, synthetic.TINY_WHISPER)
    UNet2DConditionModel.from_config(dict(shape["unet"])).save_pretrained(
        weights / "sd-image-variations-diffusers/unet", safe_serialization=False
    )
    with torch.device("meta"):
        autoencoder = AutoencoderKL.from_config(dict(shape["vae"]))
    autoencoder.save_config(weights / "sd-vae-ft-mse")


def theirs(upstream: Path, weights: Path, portrait: Path, clip: Path, work: Path) -> Any:
    """Run infer_audio2vid_acc.py, and return its frames as it hands them to its encoder."""
    import numpy as np
    import torch
    from facenet_pytorch import MTCNN
    from src.models.mutual_self_attention import ReferenceAttentionControl
    from src.utils import util

    kept: list[Any] = []
    save, detect = util.save_videos_grid, MTCNN.detect

    def keep(video: Any, *given: Any, **named: Any) -> None:
        kept.append((video[0].permute(1, 2, 3, 0) * 255).numpy().astype(np.uint8))
        save(video, *given, **named)

    util.save_videos_grid = keep
    MTCNN.detect = lambda self, image, **named: detect(self, np.ascontiguousarray(image[:, :, ::-1]), **named)
    # Masks are put on the first GPU whether there is one or not.
    hooks = ReferenceAttentionControl.register_reference_hooks
    hooks.__defaults__ = tuple(
        torch.device("cpu") if isinstance(value, torch.device) else value for value in hooks.__defaults__
    )
    config = (upstream / "configs/prompts/animation_acc.yaml").read_text("utf-8").split("## test cases")[0]
    config = config.replace("./pretrained_weights", str(weights)).replace("./configs", str(upstream / "configs"))
    config = config.replace("'fp16'", "'fp32'") + f'\ntest_cases:\n  "{portrait}":\n    - "{clip}"\n'
    (work / "config.yaml").write_text(config, "utf-8")
    os.chdir(work)
    frames = round(SECONDS * int(str(SETTINGS["fps"])))
    told = {"-W": SETTINGS["size"], "-H": SETTINGS["size"], "-L": frames, "--steps": SETTINGS["steps"]}
    script = upstream / "infer_audio2vid_acc.py"
    sys.argv = [script.name, "--config", "config.yaml", *(str(part) for pair in told.items() for part in pair)]
    source = script.read_text("utf-8").replace('"cuda"', '"cpu"')
    exec(compile(source, str(script), "exec"), {"__name__": "__main__", "__file__": str(script)})
    return kept[0]
