"""What the image changes in EchoMimic's code. Everything else of it runs as it is."""

from __future__ import annotations

from faceorch_patch import DeleteImport, Patch

PATCHES = (
    Patch(
        name="no-tokenizer",
        file="echomimic/src/models/whisper/whisper/tokenizer.py",
        reason="transformers was imported for text, but only Whisper's encoder is used; spares seconds and 100 MB",
        edits=(DeleteImport("transformers", "GPT2TokenizerFast"),),
    ),
)
