"""The landmarks of one face with OpenCV and NumPy alone, or with ONNX Runtime; copy what you need.

python landmarks.py MODEL.onnx PHOTO LEFT TOP RIGHT BOTTOM [onnxruntime]

The box is tight: brows to chin, jaw to jaw. Size and margin are those of senet-68.json.
"""

import sys

import cv2
import numpy as np

SIZE, MARGIN = 128, 0.125


def crop_face(photo: np.ndarray, box: list[float]) -> tuple[np.ndarray, np.ndarray, float]:
    """The crop for the network, uint8 [128, 128, 3]; its top left corner and side in the photo."""
    left, top, right, bottom = box
    side = (1 + 2 * MARGIN) * max(right - left, bottom - top)
    corner = np.array([left + right - side, top + bottom - side]) / 2
    factor = max(int(side / SIZE), 1)  # a large face is reduced first
    first = np.maximum(np.floor(corner).astype(int) - factor, 0)
    last = np.minimum(np.ceil(corner + side).astype(int) + factor, photo.shape[1::-1])
    cells = (last - first) // factor
    (x, y), (width, height) = first, cells * factor
    part = photo[y : y + height, x : x + width]
    part = cv2.resize(part, cells.tolist(), interpolation=cv2.INTER_AREA)
    zoom = SIZE / side
    shift = zoom * (first + (factor - 1) / 2 - corner) - 0.5  # pixel centres are at integers
    matrix = np.array([[zoom * factor, 0, shift[0]], [0, zoom * factor, shift[1]]])
    return cv2.warpAffine(part, matrix, (SIZE, SIZE)), corner, side


def with_opencv(model: str, image: np.ndarray) -> np.ndarray:
    """The points [1, 68, 2], as shares of its sides, in an RGB image float32 [1, 128, 128, 3]."""
    net = cv2.dnn.readNet(model)
    onnx = model.endswith(".onnx")
    net.setInput(image if onnx else np.ascontiguousarray(image.transpose(0, 3, 1, 2)))
    return net.forward("landmarks:0" if onnx else "landmarks")


def with_onnxruntime(model: str, image: np.ndarray) -> np.ndarray:
    """As `with_opencv`."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(["landmarks:0"], {"image:0": image})[0]


if __name__ == "__main__":
    if len(sys.argv) < 7:
        sys.exit(__doc__)
    model, name, *box = sys.argv[1:7]
    photo = cv2.imread(name)
    if photo is None:
        sys.exit(f"{name}: cannot be read as a photo")
    crop, corner, side = crop_face(photo, [float(value) for value in box])
    image = cv2.cvtColor(crop, cv2.COLOR_BGR2RGB)[None].astype(np.float32)  # [1, 128, 128, 3]
    run = with_onnxruntime if sys.argv[7:] == ["onnxruntime"] else with_opencv
    for x, y in run(model, image).reshape(-1, 2) * side + corner:
        print(f"{x:.2f} {y:.2f}")
