"""What the image changes in JoyVASA's code. Everything else of it runs as it is."""

from __future__ import annotations

from faceorch_patch import DeleteStatement, InsertBefore, Patch, ReplaceExpression, ReplaceStatement, SetKeyword

_MOTION_MODEL = "JoyVASA/src/modules/dit_talking_head.py"

PATCHES = (
    Patch(
        name="mask-on-any-device",
        file=_MOTION_MODEL,
        reason="the attention mask was made on the first GPU whatever the model's device, so nothing ran without one",
        edits=(SetKeyword("enc_dec_mask", "device", "device", within="DenoisingNetwork.__init__"),),
    ),
    Patch(
        name="hubert-from-its-config",
        file=_MOTION_MODEL,
        reason="the motion checkpoint holds all of HuBERT: its config.json is enough, in the folder JOYVASA_HUBERT",
        edits=(
            ReplaceStatement("import platform", "import os\nimport platform"),
            ReplaceExpression(
                "HubertModel.from_pretrained(make_abs_path(model_path))",
                'HubertModel(HubertModel.config_class.from_pretrained(os.environ["JOYVASA_HUBERT"]))',
                within="DitTalkingHead.__init__",
            ),
        ),
    ),
    Patch(
        name="no-attention-maps",
        file="JoyVASA/src/modules/hubert.py",
        reason="attention maps that nobody reads keep transformers from its fast attention, or make newer ones refuse",
        edits=(DeleteStatement("self.config.output_attentions = True", within="HubertModel.forward"),),
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
