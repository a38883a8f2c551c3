"""What SadTalker's 2023 code needs to run today, where it breaks on portraits that it should take, and what it need not
wait for."""

from faceorch_patch import DeleteImport, DeleteStatement, Patch, ReplaceExpression, SetKeyword, SetValue

_FACE3D = "SadTalker/src/face3d"
_RENDERER = "SadTalker/src/facerender/modules"

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
        name="no-scipy-signal",
        file="SadTalker/src/utils/audio.py",
        reason="scipy.signal takes a second to import, for the pre-emphasis, which is one line in hear.py",
        edits=(DeleteStatement("from scipy import signal"),),
    ),
    Patch(
        name="no-convex-hull",
        file=f"{_RENDERER}/make_animation.py",
        reason="scipy.spatial is imported for a function that is never called",
        edits=(DeleteImport("scipy.spatial"),),
    ),
    Patch(
        name="angles-on-device",
        file=f"{_RENDERER}/make_animation.py",
        reason="the numbers of 66 angles were copied to the GPU for every frame, which waited for all work before",
        edits=(
            ReplaceExpression(
                "torch.FloatTensor(idx_tensor).type_as(pred).to(device)",
                "torch.arange(66, dtype=pred.dtype, device=device)",
                within="headpose_pred_to_degree",
            ),
        ),
    ),
    Patch(
        name="grid-on-device",
        file=f"{_RENDERER}/util.py",
        reason="the numbers of rows and columns were copied to the GPU for every frame, likewise",
        edits=tuple(
            ReplaceExpression(
                f"torch.arange({side}).type(type)",
                f"torch.arange({side}, device='cuda' if 'cuda' in type else 'cpu').type(type)",
                within="make_coordinate_grid",
            )
            for side in ("d", "h", "w")
        ),
    ),
    Patch(
        name="zeros-on-device",
        file=f"{_RENDERER}/dense_motion.py",
        reason="a map of zeros was copied to the GPU for every frame, likewise",
        edits=(
            ReplaceExpression(
                "torch.zeros(heatmap.shape[0], 1, spatial_size[0], spatial_size[1], spatial_size[2])"
                ".type(heatmap.type())",
                "torch.zeros_like(heatmap[:, :1])",
                within="DenseMotionNetwork.create_heatmap_representations",
            ),
        ),
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
