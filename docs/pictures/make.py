"""Makes faces.jpg, the README's picture: what `senet-landmark predict` draws on six photos.

python docs/pictures/make.py

The photos are made of one public-domain portrait (NASA's, of Eileen Collins): upright; turned out
of plane by 30 and by 45 degrees; tilted by 30 degrees; a third of the face covered; a third of the
light. Detector and model are the command's defaults.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks" / "shipped")]

import limits  # noqa: E402  # of benchmarks/shipped/
from senet_landmark.data_tools.synthesis.turned_mesh import (  # noqa: E402
    draw_face,
    fit_face,
    turn_face,
)
from senet_landmark.face.geometry import box_from_landmarks  # noqa: E402
from senet_landmark.io.images import read_photo, write_picture  # noqa: E402
from senet_landmark.visualisation.drawing import contact_sheet  # noqa: E402


def photos() -> dict[str, np.ndarray]:
    """Name -> RGB uint8 [360, 360, 3]."""
    photo, points = limits.upright()
    face = fit_face(points, (limits.SIDE, limits.SIDE))
    made = {"0_upright": photo}
    for yaw in (30, 45):
        turned, depth = turn_face(face, (float(yaw), *face.pose[1:]))
        made[f"{yaw // 15}_yaw"] = draw_face(photo, face, turned, depth)
    tilt = cv2.getRotationMatrix2D((limits.SIDE / 2, limits.SIDE / 2), 30, 1)
    size = (limits.SIDE, limits.SIDE)
    made["4_tilt"] = cv2.warpAffine(photo, tilt, size, borderMode=cv2.BORDER_REPLICATE)
    box = box_from_landmarks(points)
    made["5_covered"] = photo.copy()
    made["5_covered"][round(box[3] - 0.35 * (box[3] - box[1])) :] = (70, 90, 130)
    made["6_dark"] = (photo * 0.3).astype(np.uint8)
    return made


def main() -> None:
    """Writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("faces.jpg"))
    place = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        for name, photo in photos().items():
            write_picture(Path(folder) / f"{name}.png", photo)
        out = Path(folder) / "predictions"
        command = [sys.executable, "-m", "senet_landmark", "predict", folder, "--out", str(out)]
        subprocess.run(command, check=True, cwd=ROOT)
        drawn = [read_photo(path) for path in sorted(out.glob("*_landmarks.jpg"))]
        sheet = contact_sheet(drawn, columns=len(drawn) // 2, cell=300)
        write_picture(place, sheet)


if __name__ == "__main__":
    main()
