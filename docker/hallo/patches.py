"""What the image changes in Hallo's code. Everything else of it runs as it is."""

from __future__ import annotations

from faceorch_patch import (
    DeleteImport,
    DeleteStatement,
    InsertAfter,
    InsertBefore,
    Patch,
    ReplaceStatement,
)

_TOOLS = "hallo/hallo/utils/util.py"
_HEARING = "hallo/hallo/datasets/audio_processor.py"

PATCHES = (
    Patch(
        name="no-xformers",
        file="hallo/hallo/models/motion_module.py",
        reason="imported for a method that is never called; attention runs through torch's own",
        edits=(DeleteImport("xformers"), DeleteImport("xformers.ops")),
    ),
    Patch(
        name="no-video-packages",
        file=_TOOLS,
        reason="moviepy and PyAV serve training and a writer that holds a whole video; the runner encodes by itself",
        edits=(DeleteImport("av"), DeleteImport("moviepy.editor")),
    ),
    Patch(
        name="landmarker-anywhere",
        file=_TOOLS,
        reason="the landmarks' model was looked for below the current folder; now in the file HALLO_LANDMARKER",
        edits=(
            ReplaceStatement(
                'model_path = "pretrained_models/face_analysis/models/face_landmarker_v2_with_blendshapes.task"',
                'model_path = os.environ["HALLO_LANDMARKER"]',
                within="get_landmark",
            ),
        ),
    ),
    Patch(
        name="no-face",
        file=_TOOLS,
        reason="a portrait without landmarks ended in an IndexError; now in a LookupError that the runner knows",
        edits=(
            InsertAfter(
                "landmarks, height, width = get_landmark(file)",
                'if len(landmarks) == 0:\n    raise LookupError("no face")',
                within="get_mask",
            ),
        ),
    ),
    Patch(
        name="separator-when-used",
        file=_HEARING,
        reason="the separator's packages were imported without separation too, which takes seconds",
        edits=(
            DeleteImport("audio_separator.separator"),
            InsertBefore(
                "self.audio_separator = Separator(output_dir=cache_dir, output_single_stem='vocals',"
                " model_file_dir=audio_separator_model_path)",
                "from audio_separator.separator import Separator",
                within="AudioProcessor.__init__",
            ),
        ),
    ),
    Patch(
        name="no-attention-maps",
        file="hallo/hallo/models/wav2vec.py",
        reason="every layer's attention map was kept and read by nobody: memory that grew with the square of the clip",
        edits=(DeleteStatement("self.config.output_attentions = True", count=2),),
    ),
)
