"""Coefficients to pictures: SadTalker's keypoint-driven renderer, in batches, with what never changes done once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as functional
import yaml
from src.facerender.modules.generator import OcclusionAwareSPADEGenerator
from src.facerender.modules.keypoint_detector import KPDetector
from src.facerender.modules.make_animation import keypoint_transformation
from src.facerender.modules.mapping import MappingNet

from faceorch_kit.finite import only_of_finite
from faceorch_kit.graphed import Graphed
from faceorch_kit.half import SpadeDecoder
from faceorch_kit.half.warping import Warp
from faceorch_kit.stream import Clock, Landing
from faceorch_kit.weights import bake_spectral_norm, fill
from faceorch_runner import RunnerError

from .files import MAPPING_CROP, MAPPING_FULL, WeightsFolder, main_file
from .frames import RADIUS, neighbours
from .upstream import config

Array = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

_LEAST_SHARE = 1e-3  # of a keypoint in how a place moves: upstream leaves out those that have less


class Renderer:
    """Draws the face of one portrait with other coefficients; `full` renderers also take where the face lies."""

    def __init__(self, weights: WeightsFolder, size: int, full: bool, device: str) -> None:
        name, mapping = main_file(size), MAPPING_FULL if full else MAPPING_CROP
        model = yaml.safe_load(config("facerender_still.yaml" if full else "facerender.yaml").read_text("utf-8"))
        kinds = weights.dimensions.renderer(model["model_params"])
        common = kinds["common_params"]
        self._device = device
        self._map = fill(
            lambda: MappingNet(**kinds["mapping_params"]), weights.pickled(mapping, "mapping"), device, mapping
        )
        self._keypoints = fill(
            lambda: KPDetector(**kinds["kp_detector_params"], **common),
            weights.part(name, "kp_extractor"),
            device,
            name,
        )
        self._net = fill(
            lambda: OcclusionAwareSPADEGenerator(**kinds["generator_params"], **common),
            weights.part(name, "generator"),
            device,
            name,
        )
        bake_spectral_norm(self._net)
        self._net.requires_grad_(False)
        # A CUDA stream of its own, so that drawing and sharpening do not wait for one another.
        self._stream = None
        if device == "cuda":
            torch.cuda.synchronize()  # the weights were written in another stream
            self._stream = torch.cuda.Stream()
        self.width = int(kinds["mapping_params"]["coeff_nc"])
        self._painters: dict[bool, Graphed] = {}  # tuned or not

    def draw(
        self, square: Image, source: Array, rows: Array, batch: int, clock: Clock, *, tuned: bool = False
    ) -> Iterator[Image]:
        """Yield one picture (RGB) for each row of coefficients; only twice `batch` of them are held at a time.

        `tuned`: in half precision, but for keypoints and the grid along which features are moved.
        """
        with clock("render_s"), torch.inference_mode(), torch.cuda.stream(self._stream):
            portrait = torch.from_numpy(square).to(self._device).permute(2, 0, 1)[None].float() / 255.0
            features = self._features(portrait)
            canonical = self._keypoints(portrait)["value"]
            own = np.repeat(source[None, : self.width], 2 * RADIUS + 1, axis=0)
            at_rest = self._place(canonical, torch.from_numpy(own[None]).to(self._device))
            known, near = (torch.from_numpy(part).to(self._device) for part in (rows, neighbours(len(rows))))
            if tuned not in self._painters:
                self._painters[tuned] = Graphed(self._painter(tuned=tuned))
            picture = self._painters[tuned]
        waiting: Landing | None = None
        for start in range(0, len(rows), batch):
            with clock("render_s"), torch.inference_mode(), torch.cuda.stream(self._stream):
                landing = Landing(*picture(known[near[start : start + batch]], features, canonical, at_rest))
            if waiting is not None:
                yield from self._landed(waiting, clock)
            waiting = landing
        if waiting is not None:
            yield from self._landed(waiting, clock)

    def _landed(self, landing: Landing, clock: Clock) -> Image:
        with clock("render_s"):
            pictures, finite = landing.wait()
        if not bool(finite):
            raise RunnerError("the drawn picture is not finite: if speed is tuned, set it to exact")
        return np.asarray(pictures.numpy())

    def _place(self, canonical: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
        """Return the keypoints for rows of coefficients (batch, frames around, coefficients)."""
        count = len(window)
        head = self._map(window.transpose(1, 2).contiguous())
        return keypoint_transformation({"value": canonical.expand(count, -1, -1)}, head)["value"]

    def _features(self, portrait: torch.Tensor) -> torch.Tensor:
        """Return the portrait's 3D features, which are the same for every frame."""
        net = self._net
        flat = net.first(portrait)
        for block in net.down_blocks:
            flat = block(flat)
        flat = net.second(flat)
        count, _, height, width = flat.shape
        return net.resblocks_3d(flat.view(count, net.reshape_channel, net.reshape_depth, height, width))

    def _painter(self, *, tuned: bool) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
        """Return what makes pictures (batch, height, width, RGB) of rows of coefficients, and whether all is finite."""
        features_of: Callable[..., torch.Tensor] = self._warped
        decoder = self._net.decoder
        if tuned:
            device = torch.device(self._device)
            features_of, decoder = Warp(self._net, device, least=_LEAST_SHARE), SpadeDecoder(decoder, device)

        def picture(
            window: torch.Tensor, features: torch.Tensor, canonical: torch.Tensor, at_rest: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            drawn = decoder(features_of(features, at_rest, self._place(canonical, window)))
            finite = torch.isfinite(drawn).all()
            return drawn.mul_(255.0).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous(), finite

        return picture

    def _warped(self, features: torch.Tensor, at_rest: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
        """Return what the decoder takes: features moved along the keypoints, hidden parts masked."""
        net, count = self._net, len(moved)
        features = features.expand(count, -1, -1, -1, -1)
        flow = net.dense_motion_network(
            feature=features, kp_driving={"value": moved}, kp_source={"value": at_rest.expand(count, -1, -1)}
        )
        warped = net.deform_input(features, flow["deformation"]).flatten(1, 2)
        warped = net.fourth(net.third(warped))
        visible = flow["occlusion_map"]
        if visible.shape[2:] != warped.shape[2:]:
            visible = functional.interpolate(visible, size=warped.shape[2:], mode="bilinear")
        return only_of_finite(warped * visible, flow["deformation"])
