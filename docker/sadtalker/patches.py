"""What SadTalker's 2023 code needs to run today, and two places where it breaks on portraits that it should take."""

from faceorch_patch import DeleteImport, DeleteStatement, Patch, ReplaceExpression, SetKeyword, SetValue

_FACE3D = "SadTalker/src/face3d"

PATCHES = (
    Patch(
        name="numpy-float",
        file=f"{_FACE3D}/util/my_awing_arch.py",
        reason="numpy 1.24 removed the alias np.float",
        edits=(ReplaceExpression("np.float", "float", within="calculate_points"),),
    ),
    Patch(
        name="heatmap-edge",
        file=f"{_FACE3D}/util/my_awing_arch.py",
        reason="a landmark in the first or last pixel of its heatmap has no neighbour there: it ended in an IndexError",
        edits=(
            ReplaceExpression("inr + 1", "np.minimum(inr + 1, HW - 1)", within="calculate_points"),
            ReplaceExpression("inr - 1", "np.maximum(inr - 1, 0)", within="calculate_points"),
        ),
    ),
    Patch(
        name="numpy-warning",
        file=f"{_FACE3D}/util/preprocess.py",
        reason="numpy 2.0 moved np.VisibleDeprecationWarning, which is named here only to be silenced",
        edits=(DeleteStatement('warnings.filterwarnings("ignore", category=np.VisibleDeprecationWarning)'),),
    ),
    Patch(
        name="numpy-ragged",
        file=f"{_FACE3D}/util/preprocess.py",
        reason="numpy 1.24 refuses arrays of numbers mixed with arrays, and newer ones an array in place of a number",
        edits=(
            SetValue("trans_params", "np.array([w0, h0, s, t[0, 0], t[1, 0]])", within="align_img"),
            ReplaceExpression("t[0]", "t[0, 0]", count=2, within="resize_n_crop_img"),
            ReplaceExpression("t[1]", "t[1, 0]", count=2, within="resize_n_crop_img"),
        ),
    ),
    Patch(
        name="lstsq-rcond",
        file=f"{_FACE3D}/util/preprocess.py",
        reason="numpy's least squares want their cut-off said; None is what it has become anyway",
        edits=(SetKeyword("np.linalg.lstsq", "rcond", "None", within="POS"),),
    ),
    Patch(
        name="no-skimage",
        file=f"{_FACE3D}/util/preprocess.py",
        reason="scikit-image is imported for a function that is never called",
        edits=(DeleteImport("skimage"),),
    ),
    Patch(
        name="no-librosa",
        file="SadTalker/src/utils/audio.py",
        reason="librosa compiles itself for 15 s in every new container; its two steps are in hear.py",
        edits=(DeleteImport("librosa"), DeleteImport("librosa.filters")),
    ),
    Patch(
        name="no-kornia",
        file=f"{_FACE3D}/models/networks.py",
        reason="kornia is imported for a face recognition network that is never built",
        edits=(DeleteImport("kornia.geometry"),),
    ),
    Patch(
        name="box-inside",
        file="SadTalker/src/utils/croper.py",
        reason="limited by the picture's width alone, a face's box near an edge left the picture, and pasting failed",
        edits=(
            SetValue("rx", "min(quad[4:8:2].max(), crop[2] - crop[0])", within="Preprocesser.align_face"),
            SetValue("ry", "min(quad[3:6:2].max(), crop[3] - crop[1])", within="Preprocesser.align_face"),
        ),
    ),
)
