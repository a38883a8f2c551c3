"""What upstream's inference script of Hallo is told, and how its finished frames are kept (see parity.py)."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import Any

# As small as upstream's own script takes the networks: it hard-codes the first width and all that belongs to the sound.
SIZES = ((320, 64, 64, 64), 64, 768, 512, 32, 128, (32, 32, 32, 32), 1)
SECONDS = 0.9  # two clips of sixteen frames, the second cut
SEED = 42  # the script's own
SETTINGS = {
    "size": 128,
    "crop": False,
    "steps": 2,
    "guidance": 3.5,
    "pose_weight": 1.0,
    "face_weight": 1.0,
    "lip_weight": 1.0,
    "face_expand_ratio": 1.2,
    "vocal_separation": True,
    "speed": "exact",
}
PACKAGES = ("torch", "diffusers", "transformers", "numpy", "onnxruntime", "mediapipe", "insightface", "audio-separator")
NAMED = [
    "crop: by default we cut a square around the face first, where upstream squeezes any portrait into a square",
    "encoding: upstream's moviepy may write a frame more than the clip has; we write the clip's number",
    "a portrait with no pixel below middle grey is scaled twice by upstream's image processor, once by us",
    "fp16 on a CPU is slow: both sides compute in fp32 here (weight_dtype of upstream's configuration)",
]


def prepare(weights: Path, synthetic: Any) -> None:
    """Write stand-in weights, and those that upstream's loader reads before net.pth overwrites them."""
    import torch
    from safetensors.torch import save_file

    synthetic.write(weights, synthetic.Sizes(*SIZES))
    tensors = torch.load(weights / "hallo/net.pth", weights_only=True)
    two_d = {
        name.removeprefix("reference_unet."): tensor.contiguous()
        for name, tensor in tensors.items()
        if name.startswith("reference_unet.")
    }
    save_file(two_d, weights / "stable-diffusion-v1-5/unet/diffusion_pytorch_model.safetensors")
    (weights / "motion_module").mkdir()
    motion = {n.removeprefix("denoising_unet."): t for n, t in tensors.items() if "motion_modules" in n}
    torch.save(motion, weights / "motion_module/mm_sd_v15_v2.ckpt")


def theirs(upstream: Path, weights: Path, portrait: Path, clip: Path, work: Path) -> Any:
    """Run scripts/inference.py, and return its frames as it would hand them to its encoder."""
    import numpy as np
    import yaml
    from hallo.datasets import audio_processor
    from hallo.utils import util

    kept = []

    def keep(tensor: Any, *_: Any, **__: Any) -> None:
        kept.append(np.clip(tensor.permute(1, 2, 3, 0).cpu().numpy() * 255, 0, 255).astype(np.uint8))

    util.tensor_to_video = keep
    # The script gives its sound to the first GPU whether there is one or not.
    defaults = audio_processor.AudioProcessor.__init__.__defaults__
    audio_processor.AudioProcessor.__init__.__defaults__ = (*defaults[:-1], "cpu")
    config = yaml.safe_load((upstream / "configs/inference/default.yaml").read_text("utf-8"))
    side = SETTINGS["size"]
    config["weight_dtype"] = "fp32"
    config["data"]["source_image"] = {"width": side, "height": side}
    config["inference_steps"] = SETTINGS["steps"]
    (work / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")
    (work / "pretrained_models").symlink_to(weights)
    os.chdir(work)
    sys.argv = ["inference.py", "-c", "config.yaml", "--source_image", str(portrait), "--driving_audio", str(clip)]
    runpy.run_path(str(upstream / "scripts/inference.py"), run_name="__main__")
    return kept[0]
