"""HuBERT, which hears the clip, by torchaudio; its parts are named as in JoyVASA's checkpoint.

Upstream's own is transformers' class, whose import takes longer than hearing a clip does. The values are the same, bit
for bit (tests/networks/liveportrait/test_hubert.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch.nn import functional
from torchaudio.models.wav2vec2.model import wav2vec2_model

_RATE = 50  # features a second that the convolutions make of 16 kHz samples
# What a config.json that does not say it means (transformers' HubertConfig).
_KERNELS, _STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
_BASE = {
    "feat_extract_norm": "group",
    "conv_bias": False,
    "hidden_size": 768,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "do_stable_layer_norm": False,
    "conv_kernel": _KERNELS,
    "conv_stride": _STRIDES,
}


class Heard(NamedTuple):
    """What JoyVASA's code takes from its audio encoder: (clips, frames, values)."""

    last_hidden_state: torch.Tensor


class Hubert(torch.nn.Module):  # type: ignore[misc]  # torch is not installed here
    """HuBERT as `config` describes it, the content of its config.json."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        sizes = {**_BASE, **config}
        built = wav2vec2_model(
            extractor_mode=f"{sizes['feat_extract_norm']}_norm",
            extractor_conv_layer_config=list(
                zip(sizes["conv_dim"], sizes["conv_kernel"], sizes["conv_stride"], strict=True)
            ),
            extractor_conv_bias=sizes["conv_bias"],
            encoder_embed_dim=sizes["hidden_size"],
            encoder_projection_dropout=0.0,
            encoder_pos_conv_kernel=sizes["num_conv_pos_embeddings"],
            encoder_pos_conv_groups=sizes["num_conv_pos_embedding_groups"],
            encoder_num_layers=sizes["num_hidden_layers"],
            encoder_num_heads=sizes["num_attention_heads"],
            encoder_attention_dropout=0.0,
            encoder_ff_interm_features=sizes["intermediate_size"],
            encoder_ff_interm_dropout=0.0,
            encoder_dropout=0.0,
            encoder_layer_norm_first=sizes["do_stable_layer_norm"],
            encoder_layer_drop=0.0,
            aux_num_out=None,
        )
        self.feature_extractor = built.feature_extractor
        self.feature_projection = built.encoder.feature_projection
        self.encoder = built.encoder.transformer
        # Of use in training alone; checkpoints have it.
        self.masked_spec_embed = torch.nn.Parameter(torch.zeros(sizes["hidden_size"]))

    def forward(self, samples: torch.Tensor, fps: float, frame_num: int) -> Heard:
        """Return what is heard in samples (clips, samples) in each of `frame_num` frames, `fps` a second."""
        features, _ = self.feature_extractor(samples, None)
        features = features.transpose(1, 2)[:, :, : round(frame_num * _RATE / fps)]
        features = functional.interpolate(features, size=frame_num, align_corners=False, mode="linear")
        return Heard(self.encoder(self.feature_projection(features.transpose(1, 2))))
