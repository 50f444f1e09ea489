"""BlazeFace: a single-shot face detector of depthwise convolutions.

Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", CVPR Workshop
on Computer Vision for AR/VR 2019. The layers are those of the weights that MediaPipe publishes,
which are newer than the paper: the short-range network has 5x5 only in its stem, the full-range
network has double blocks with a bottleneck and a decoder as in feature pyramids (Lin et al., 2017).

Short range, 128x128. A block is a depthwise 3x3 and a 1x1 convolution, plus the shortcut, then ReLU
(table 1 of the paper). The shortcut is max-pooled if the stride is 2, and gets channels of zeros.

    layer                 channels                                          map
    stem 5x5, stride 2    24                                                64x64
    2 blocks              24 28                                             64x64
    3 blocks              32/2 36 42                                        32x32
    6 blocks              48/2 56 64 72 80 88                               16x16, with 2 anchors
    5 blocks              96/2 96 96 96 96                                  8x8, with 6 anchors

Full range, 192x192. A double block is depthwise 3x3 (with the stride), 1x1 to the bottleneck, ReLU,
depthwise 3x3, 1x1, plus the shortcut, then ReLU.

    layer                 channels (bottleneck)                             map
    stem 3x3, stride 2    32                                                96x96
    2 double blocks       32 (8) 32 (8)                                     96x96
    3 double blocks       48 (12)/2 48 (12) 64 (16)                         48x48
    3 double blocks       96 (24)/2 128 (32) 128 (32)                       24x24
    3 double blocks       144 (36)/2 192 (48) 256 (64)                      12x12
    4 double blocks       384 (96)/2 and three more                         6x6
    decoder               96: 1x1 of both maps, the sum, 2 double blocks    12x12
    decoder               64: the same                                      24x24
    decoder               48: the same, 1 double block                      48x48, with 1 anchor

Channels are rounded up to a multiple of 16 (`aligned`); the weights of those that the published
network does not have are 0, and so are their outputs. Runtimes that keep channels in blocks of the
processor's vectors would otherwise copy every map into blocks and back.

Outputs: `boxes` float32 [N, A, 16] in pixels of the input, relative to the anchor's centre: x and y
of the box's centre, width, height, then x and y of right eye, left eye, nose, mouth, right and left
ear (of the person); `scores` float32 [N, A], logits. The anchors are in `frozen/detector.py`.
"""

from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

VALUES = 16
"""Values of a box: its centre and size, and six points."""


def aligned(channels: int) -> int:
    """The number of channels that the graph has for so many of the published network."""
    return -(-channels // 16) * 16


class Block(NamedTuple):
    """Output channels, stride, and channels of the bottleneck; 0: a single block."""

    channels: int
    stride: int = 1
    bottleneck: int = 0


SHORT_RANGE = (
    Block(24), Block(28),
    Block(32, 2), Block(36), Block(42),
    Block(48, 2), Block(56), Block(64), Block(72), Block(80), Block(88),
    Block(96, 2), Block(96), Block(96), Block(96), Block(96),
)  # fmt: skip
SHORT_RANGE_FINE = 11
"""Number of blocks before the map of 16x16 is read."""

FULL_RANGE = (
    Block(32, 1, 8), Block(32, 1, 8),
    Block(48, 2, 12), Block(48, 1, 12), Block(64, 1, 16),
    Block(96, 2, 24), Block(128, 1, 32), Block(128, 1, 32),
    Block(144, 2, 36), Block(192, 1, 48), Block(256, 1, 64),
    Block(384, 2, 96), Block(384, 1, 96), Block(384, 1, 96), Block(384, 1, 96),
)  # fmt: skip
FULL_RANGE_DECODER = ((96, 10, 2), (64, 7, 2), (48, 4, 1))
"""Channels, index of the block whose output is joined, and number of double blocks."""


def blazeface_short(images: tf.Tensor) -> dict[str, tf.Tensor]:
    """The short-range network for images float32 [N, 128, 128, 3], RGB 0 to 255."""
    with tf.variable_scope("blazeface_short"):
        net = _normalised(images)
        net = tf.nn.relu(_convolution(net, aligned(24), 5, 2, "stem"))
        maps = []
        for index, block in enumerate(SHORT_RANGE):
            net = blaze_block(net, block, f"block_{index}")
            maps.append(net)
        fine, coarse = maps[SHORT_RANGE_FINE - 1], maps[-1]
        scores = [
            tf.reshape(_convolution(fine, 2, 1, 1, "scores_fine"), [-1, 512]),
            tf.reshape(_convolution(coarse, 6, 1, 1, "scores_coarse"), [-1, 384]),
        ]
        boxes = [
            tf.reshape(_convolution(fine, 2 * VALUES, 1, 1, "boxes_fine"), [-1, 512, VALUES]),
            tf.reshape(_convolution(coarse, 6 * VALUES, 1, 1, "boxes_coarse"), [-1, 384, VALUES]),
        ]
        return {"boxes": tf.concat(boxes, axis=1), "scores": tf.concat(scores, axis=1)}


def blazeface_full(images: tf.Tensor) -> dict[str, tf.Tensor]:
    """The full-range network for images float32 [N, 192, 192, 3], RGB 0 to 255."""
    with tf.variable_scope("blazeface_full"):
        net = _normalised(images)
        net = tf.nn.relu(_convolution(net, 32, 3, 2, "stem"))
        maps = []
        for index, block in enumerate(FULL_RANGE):
            net = blaze_block(net, block, f"block_{index}")
            maps.append(net)
        for channels, joined, repeats in FULL_RANGE_DECODER:
            with tf.variable_scope(f"decoder_{channels}"):
                net = tf.nn.relu(_convolution(net, channels, 1, 1, "above"))
                beside = tf.nn.relu(_convolution(maps[joined], channels, 1, 1, "beside"))
                net = beside + doubled(net)
                for index in range(repeats):
                    net = blaze_block(net, Block(channels, 1, channels // 2), f"block_{index}")
        cells = net.shape[1] * net.shape[2]
        scores = tf.reshape(_convolution(net, 1, 1, 1, "scores"), [-1, cells])
        boxes = tf.reshape(_convolution(net, VALUES, 1, 1, "boxes"), [-1, cells, VALUES])
        return {"boxes": boxes, "scores": scores}


def blaze_block(inputs: tf.Tensor, block: Block, scope: str) -> tf.Tensor:
    """A block, or a double block: depthwise and 1x1 convolutions plus the shortcut, then ReLU."""
    with tf.variable_scope(scope):
        net = _depthwise(inputs, block.stride, "depthwise")
        if block.bottleneck:
            net = tf.nn.relu(_convolution(net, aligned(block.bottleneck), 1, 1, "squeeze"))
            net = _depthwise(net, 1, "depthwise_2")
        channels = aligned(block.channels)
        net = _convolution(net, channels, 1, 1, "project")
        shortcut = inputs
        if block.stride == 2:
            shortcut = slim.max_pool2d(shortcut, 2, 2, padding="SAME", scope="shortcut_pool")
        if missing := channels - int(inputs.shape[-1]):
            shortcut = tf.pad(shortcut, [[0, 0], [0, 0], [0, 0], [0, missing]])
        return tf.nn.relu(net + shortcut)


def doubled(inputs: tf.Tensor) -> tf.Tensor:
    """[N, H, W, C] -> [N, 2H, 2W, C], bilinear with the centres of pixels at 0.5.

    ONNX's operators of version 10 and OpenCV's importers have no bilinear resizing with
    `half_pixel_centers`. It equals repeating each pixel, then a convolution with (1, 2, 1) / 4 in
    both directions. The convolution takes zeros beyond the border where the resizing repeats the
    last pixel; a constant map makes up for that.
    """
    height, width, channels = (2 * inputs.shape[1], 2 * inputs.shape[2], inputs.shape[3])
    repeated = tf.image.resize_nearest_neighbor(inputs, [height, width])
    taps = np.array([1, 2, 1], np.float32) / 4
    kernel = np.tile(np.outer(taps, taps)[:, :, None, None], [1, 1, channels, 1])
    smoothed = tf.nn.depthwise_conv2d(repeated, tf.constant(kernel), [1, 1, 1, 1], "SAME")
    return smoothed * tf.constant((_border(height)[:, None] * _border(width))[None, :, :, None])


def _border(length: int) -> np.ndarray:
    factors = np.ones(length, np.float32)
    factors[[0, -1]] = 4 / 3
    return factors


def _normalised(images: tf.Tensor) -> tf.Tensor:
    """0 to 255 -> -1 to 1."""
    return images * (2 / 255) - 1.0


def _convolution(
    inputs: tf.Tensor, channels: int, kernel: int, stride: int, scope: str
) -> tf.Tensor:
    return slim.conv2d(
        inputs, channels, kernel, stride=stride, padding="SAME", activation_fn=None, scope=scope
    )


def _depthwise(inputs: tf.Tensor, stride: int, scope: str) -> tf.Tensor:
    return slim.separable_conv2d(
        inputs, None, 3, depth_multiplier=1, stride=stride, padding="SAME", activation_fn=None,
        scope=scope,
    )  # fmt: skip
