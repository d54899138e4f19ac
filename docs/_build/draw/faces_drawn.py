"""Drawn face masks: every style at three turns of the head, and without ear loops; the patterns of cloth."""

from pathlib import Path

from skimage.data import astronaut

from docs._build.draw._paper import save, sheet, show
from examples.mask_removal.views import View, seen_otherwise
from gatedinpaint.faces import MASK_STYLES, FaceLandmarker, align, draw_face_mask

FIGURES = ("drawn-masks.png", "drawn-mask-options.png")
TURNS = (-0.38, 0.0, 0.38)


def draw(folder: Path) -> None:
    landmarker = FaceLandmarker()
    faces = []
    for turn in TURNS:
        photo, _ = seen_otherwise(astronaut(), landmarker.detect(astronaut())[0].landmarks, View(False, turn))
        faces.append((photo, landmarker.detect(photo)[0]))

    figure, axes = sheet(len(MASK_STYLES), 5, height=6.1)
    for row, style in enumerate(MASK_STYLES):
        for column, (photo, face) in enumerate(faces):
            masked, hole = draw_face_mask(photo, face.landmarks, style=style, seed=2)
            yaw = f"yaw {face.yaw:.0f}°".replace("-", "−")
            show(axes[row, column], align(masked, face.landmarks).photo, yaw if row == 0 else "")
            if column == 1:
                show(axes[row, 4], align(photo, face.landmarks).cover(hole), "hole" if row == 0 else "")
        axes[row, 0].text(-0.06, 0.5, style, rotation=90, va="center", ha="right", transform=axes[row, 0].transAxes)
        photo, face = faces[1]
        bare, _ = draw_face_mask(photo, face.landmarks, style=style, seed=2, ear_loops=False)
        show(axes[row, 3], align(bare, face.landmarks).photo, "ear_loops=False" if row == 0 else "")
    save(figure, folder / "drawn-masks.png")

    photo, face = faces[1]
    options = {
        'color="pink"': {"color": "pink"},
        "color=(90, 120, 70)": {"color": (90, 120, 70)},
        'pattern="plain"': {"style": "cloth", "color": "navy", "pattern": "plain"},
        '"stripes"': {"style": "cloth", "color": "navy", "pattern": "stripes"},
        '"dots"': {"style": "cloth", "color": "red", "pattern": "dots"},
        '"checks"': {"style": "cloth", "color": "teal", "pattern": "checks"},
    }
    figure, axes = sheet(1, len(options), height=1.1)
    for ax, (name, chosen) in zip(axes[0], options.items(), strict=True):
        masked, _ = draw_face_mask(photo, face.landmarks, seed=1, **chosen)
        show(ax, align(masked, face.landmarks).photo[80:], name)
    save(figure, folder / "drawn-mask-options.png")
