"""Every public name of the package, and those through which no gradient flows."""

from tests.contracts.public_surface import modules, public_names

NAMES = {name: getattr(module, name) for module in modules() for name in public_names(module)}
"""Every public name of the package."""

_WITHOUT_GRADIENT = {
    "a type, a constant or an exception": (
        *("AlignedFace", "DeepFillV2Output", "DegenerateControlPointsError", "FORMATS", "Face", "FaceMask"),
        *("FeaturePass", "Features", "GradientReport", "HeadPose", "Hole", "InpaintOutput", "JAW", "Landmarker"),
        *("MASK_COLORS", "MASK_PALETTES", "MASK_POLYGON", "MASK_STYLES", "MAX_PIXELS", "MaskNotFoundError"),
        *("MaskPattern", "MaskStyle", "NoFaceError", "Photo", "PhotoError", "SegmentationMethod"),
        *("TPS_POINTS", "WarpedReference", "__version__"),
    ),
    "works on photos and points in NumPy": (
        *("FaceLandmarker", "align", "as_photo", "check_photo", "draw_face_mask", "face_height", "face_mask_hole"),
        *("find_face_landmarker_model", "find_face_mask", "head_pose", "kmeans", "landmarks_from", "mask_polygon"),
        *("mirror_landmarks", "paste", "paste_window", "polygon_hole", "read_exif", "read_photo", "scale_to_hold"),
        *("segment_face_mask", "uncover_landmarks", "warp_reference", "write_photo"),
    ),
    "between bytes and floats": ("image_to_photo", "photo_to_image"),
    "draws its own result": ("box_mask", "free_form_mask", "init_weights", "irregular_mask"),
    "reads or writes a network": ("export_onnx", "load_deepfillv2_weights", "load_model", "save_model"),
    "makes a network that only predicts": ("optimize_for_inference",),
    "chooses how something is computed": ("minimal_filtering",),
    "keeps what it is given detached": ("NegativeQueue",),
    "measures and gives numbers": (
        "FID",
        "FeatureStatistics",
        "InceptionFeatures",
        "InpaintingEvaluation",
        "InpaintingReport",
        "Interval",
        "bootstrap_interval",
        "identity_similarity",
        "summary_table",
        "FrechetDistance",
        "frechet_distance",
        "gate_saturation",
        "gradient_report",
    ),
}
NOT_DIFFERENTIABLE = {name: reason for reason, names in _WITHOUT_GRADIENT.items() for name in names}
