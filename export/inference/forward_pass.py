"""One forward pass: crops of a photo -> a model's outputs in the photo's pixels."""

from collections.abc import Callable

import numpy as np

from senet_landmark.export.engines.interface import Outputs
from senet_landmark.export.inference.confidence import expected_errors, face_confidence, with_spread
from senet_landmark.face import geometry
from senet_landmark.face.depth import centred, depth_unit
from senet_landmark.face.roll import turned_pose
from senet_landmark.frozen.contract import Contract


class ForwardPass:
    """Cuts crops out of a photo, runs a model on them, and takes its outputs back to the photo.

    Args:
      contract: the model's.
      run: the model in an engine: crops, uint8 [N, size, size, 3] -> its outputs.
    """

    def __init__(self, contract: Contract, run: Callable[[np.ndarray], Outputs]):
        self._contract = contract
        self.run = run

    def __call__(self, photo: np.ndarray, crops: np.ndarray, with_confidence: bool) -> Outputs:
        """The outputs for crops [N, 5] (`passes.py`) of a photo RGB uint8 [H, W, 3].

        Returns:
          `landmarks`, float32 [N, K, 2] in photo pixels. If the model has them, `depth`, float32
          [N, K], in the same pixels, `pose`, float32 [N, 3], in degrees, and `attributes`, float32
          [N, C]. `uncertainty`, float32 [N, K] in photo pixels, and `confidence`, float32 [N]; a
          model without maps gives these two only `with_confidence`.
        """
        contract, size = self._contract, (photo.shape[1], photo.shape[0])
        rolls = crops[:, 4].tolist()
        regions = np.stack(
            [
                geometry.crop_box(crop[:4], contract.crop, size, roll)
                for crop, roll in zip(crops, rolls, strict=True)
            ]
        )
        transforms = [
            geometry.to_crop(region, roll, (crop[:2] + crop[2:4]) / 2)
            for region, crop, roll in zip(regions, crops, rolls, strict=True)
        ]
        pixels = np.stack([geometry.warp(photo, t, contract.size) for t in transforms])
        spread = None
        if with_confidence or contract.variance:
            outputs, spread = with_spread(self.run, pixels, contract.landmark_scheme)
        else:
            outputs = self.run(pixels)
        # Copies: the arrays of some runtimes are read-only.
        outputs = {name: np.array(values, np.float32) for name, values in outputs.items()}
        outputs.pop("variance", None)
        in_photo = [
            geometry.apply(geometry.invert(transform), points)
            for transform, points in zip(transforms, outputs["landmarks"], strict=True)
        ]
        outputs["landmarks"] = np.stack(in_photo).astype(np.float32)
        if "depth" in outputs:  # the same whichever way the crop is turned
            units = depth_unit(regions[:, 2:] - regions[:, :2], contract.crop)
            outputs["depth"] = centred(outputs["depth"]) * units[:, None].astype(np.float32)
        if "pose" in outputs:
            poses = zip(outputs["pose"], rolls, strict=True)
            outputs["pose"] = np.stack([turned_pose(pose, roll) for pose, roll in poses])
        if spread is not None:
            outputs["confidence"] = face_confidence(contract.confidence, spread)
            # The side of a crop that is not square is the geometric mean of its two sides.
            sides = np.sqrt((regions[:, 2:] - regions[:, :2]).prod(1))
            errors = expected_errors(contract.expected_error, spread)
            outputs["uncertainty"] = (errors * sides[:, None]).astype(np.float32)
        return outputs
