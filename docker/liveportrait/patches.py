"""What the image changes in JoyVASA's code. Everything else of it runs as it is."""

from __future__ import annotations

from faceorch_patch import DeleteStatement, InsertBefore, Patch, ReplaceExpression, SetKeyword

_MOTION_MODEL = "JoyVASA/src/modules/dit_talking_head.py"

PATCHES = (
    Patch(
        name="mask-on-any-device",
        file=_MOTION_MODEL,
        reason="the attention mask was made on the first GPU whatever the model's device, so nothing ran without one",
        edits=(SetKeyword("enc_dec_mask", "device", "device", within="DenoisingNetwork.__init__"),),
    ),
    Patch(
        name="hubert-of-our-own",
        file=_MOTION_MODEL,
        reason="transformers takes longer to import than HuBERT to hear a clip: what subclasses make hears it",
        edits=(
            DeleteStatement("from .hubert import HubertModel", within="DitTalkingHead.__init__", count=2),
            ReplaceExpression(
                "HubertModel.from_pretrained(make_abs_path(model_path))",
                "self.make_audio_encoder()",
                within="DitTalkingHead.__init__",
            ),
            DeleteStatement(
                "self.audio_encoder.feature_extractor._freeze_parameters()", within="DitTalkingHead.__init__", count=3
            ),
        ),
    ),
    Patch(
        name="no-downloads",
        file="JoyVASA/src/utils/dependencies/insightface/utils/storage.py",
        reason="a missing folder of detectors was fetched from the network in the middle of a job",
        edits=(
            InsertBefore(
                "print('download_path:', dir_path)",
                'raise FileNotFoundError(f"{dir_path} is missing, and nothing is fetched while a job runs")',
                within="download",
            ),
        ),
    ),
)
