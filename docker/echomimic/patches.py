"""What the image changes in EchoMimic's code. Everything else of it runs as it is."""

from __future__ import annotations

from faceorch_patch import DeleteImport, Patch

PATCHES = (
    Patch(
        name="no-tokenizer",
        file="EchoMimic/src/models/whisper/whisper/tokenizer.py",
        reason="transformers was imported for text, and only Whisper's encoder is used: seconds, and 100 MB of packages",
        edits=(DeleteImport("transformers", "GPT2TokenizerFast"),),
    ),
)
