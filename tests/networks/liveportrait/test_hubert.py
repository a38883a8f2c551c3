"""torchaudio's HuBERT against transformers', where both are there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.networks.conftest import load_code

torch = pytest.importorskip("torch", reason="the network's own torch is not installed here")
pytest.importorskip("torchaudio", reason="torchaudio is not installed here")

CONFIG = {
    "conv_dim": [8] * 7,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


def test_a_frame_of_the_clip_has_as_many_values_as_asked_for() -> None:
    torch.manual_seed(0)
    heard = load_code("liveportrait", "hubert").Hubert(CONFIG).eval()
    with torch.no_grad():
        found = heard(torch.randn(2, 16080), 25, frame_num=50).last_hidden_state
    assert found.shape == (2, 50, 24)
    assert found.std() > 0


def test_nothing_of_torchaudio_is_imported_that_does_not_hear() -> None:
    """Its data sets wake those of torch, its readers open FFmpeg: in a process of its own, for others may have."""
    load = "from tests.networks.conftest import load_code; import sys; load_code('liveportrait', 'hubert')"
    asked = (
        "print([name for name in ('torio', 'torchaudio.datasets', 'torch.utils.data.dataset') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", f"{load}; {asked}"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_hears_bit_for_bit_what_transformers_hears() -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed here")
    torch.manual_seed(0)
    theirs = transformers.HubertModel(transformers.HubertConfig(**CONFIG)).eval()
    ours = load_code("liveportrait", "hubert").Hubert(CONFIG).eval()
    assert not any(ours.load_state_dict(theirs.state_dict(), strict=True))
    samples = torch.randn(2, 16080)
    with torch.no_grad():
        features = theirs.feature_extractor(samples)[:, :, :50]
        features = torch.nn.functional.interpolate(features, size=50, align_corners=False, mode="linear")
        wanted = theirs.encoder(theirs.feature_projection(features.transpose(1, 2)))[0]
        found = ours(samples, 25, frame_num=25).last_hidden_state
    assert found.shape == (2, 25, 24)
    with torch.no_grad():
        found = ours(samples, 50, frame_num=50).last_hidden_state
    assert torch.equal(found, wanted)
