"""Records -> batches of {image, landmarks, depth, pose, attributes}.

The batch of a step is a function of (seed, step) alone. A resumed run therefore gets the same faces
with the same random changes as a run that was never interrupted. `tf.data` makes the batches of the
next steps in parallel, while the current step trains.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark.config import NO_AUGMENTATION, AugmentConfig
from senet_landmark.data.augment import (
    change_picture,
    crop_regions,
    jittered_transform,
    mirror_landmarks,
    tone_curves,
    turned_poses,
)
from senet_landmark.data.even_sampling import drawn
from senet_landmark.data.lips import change_lips
from senet_landmark.data.record_store import RecordStore
from senet_landmark.face import geometry
from senet_landmark.face.attributes import face_classes, mirror_attributes
from senet_landmark.face.depth import centred, depth_unit
from senet_landmark.face.geometry import CropSpec
from senet_landmark.face.pose import PFLD_POINTS, STABLE_POINTS, known_pose, mirror_pose
from senet_landmark.face.shape_model import ShapeModel, asm_copy, fit_shape_model

PART = 16
"""Faces in one part of a batch, where the batch size is a multiple of it (`BatchMaker.part`)."""

Batch = dict[str, np.ndarray]
"""image uint8 [N, H, W, 3]; landmarks float32 [N, K, 2], NaN where unknown; depth float32 [N, K] in
units of the face box (`depth.depth_unit` of the crop), NaN where unknown; pose float32 [N, 3];
attributes float32 [N, A]; classes float32 [N, C], 0 or 1, of `attributes.face_classes`; crop_size
float32 [N, 2], width and height of the crop in pixels of the photo; with a shape model
asm_landmarks float32 [N, K, 2], the ASM copies of the landmarks."""


def true_poses(store: RecordStore, truth: Literal["records", "landmarks"]) -> np.ndarray:
    """Yaw, pitch and roll in degrees of all records, float32 [M, 3]; NaN where unknown.

    Args:
      store: the records.
      truth: `records`: those of the data set, or fitted to the landmarks where it has none;
        `landmarks`: fitted to the 11 landmarks of PFLD where the scheme has them, else to all.
    """
    fitted = PFLD_POINTS if truth == "landmarks" else STABLE_POINTS
    unknown = np.full(3, np.nan)
    poses = []
    for index in range(len(store)):
        record = store.record(index)
        points = record.landmarks * (record.region[2:] - record.region[:2])
        recorded = unknown if truth == "landmarks" else record.pose
        poses.append(known_pose(recorded, points, record.scheme, fitted) or unknown)
    return np.array(poses, np.float32)


def shape_model_of(store: RecordStore, share: float) -> ShapeModel:
    """The shape model of the records' landmarks (see `shape_model.fit_shape_model`)."""
    records = [store.record(index) for index in range(len(store))]
    sizes = [record.region[2:] - record.region[:2] for record in records]
    shapes = [record.landmarks * size for record, size in zip(records, sizes, strict=True)]
    return fit_shape_model(np.stack(shapes), store.scheme, share)


@dataclass(frozen=True)
class BatchMaker:
    """Makes the batch of a step from records.

    Attributes:
      store: the records.
      crop: how a canonical box becomes a crop.
      size: (width, height) of the network's input.
      augment: random changes; `config.NO_AUGMENTATION` for none.
      batch_size: faces in a batch.
      seed: seed of the order and of the random changes.
      shuffle: a new random order each epoch; otherwise always the order of the records.
      attributes: names of the records' attributes; some change when a face is mirrored.
      poses: yaw, pitch and roll of all records in degrees [M, 3]; None: those of the records.
      shape_model: makes the ASM copies of the landmarks; None: batches have no copies.
      weights: how often each record is drawn beside the others, float64 [M]; None: all equally.
    """

    store: RecordStore
    crop: CropSpec
    size: tuple[int, int]
    augment: AugmentConfig
    batch_size: int
    seed: int = 0
    shuffle: bool = True
    attributes: tuple[str, ...] = ()
    poses: np.ndarray | None = None
    shape_model: ShapeModel | None = None
    weights: np.ndarray | None = None

    def indices(self, step: int) -> np.ndarray:
        """Indices of the records of a step, int64 [batch_size].

        Each epoch is a permutation; with `weights` one of as many records, of which some are drawn
        several times.
        """
        count = len(self.store)
        positions = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs, offsets = np.divmod(positions, count)
        if not self.shuffle:
            return offsets
        orders = {int(e): _epoch_order(self.seed, int(e), count) for e in np.unique(epochs)}
        places = np.array([orders[int(e)][i] for e, i in zip(epochs, offsets, strict=True)])
        if self.weights is None:
            return places
        starts = {e: np.random.default_rng([self.seed, e, 2]).random() for e in orders}
        return drawn(self.weights, places, np.array([starts[int(e)] for e in epochs]))

    @property
    def parts(self) -> int:
        """Number of equal parts of a batch; several threads make parts at the same time."""
        return self.batch_size // PART if self.batch_size % PART == 0 else 1

    def part(self, step: int, number: int) -> Batch:
        """Part `number` of the batch of step `step`."""
        generator = np.random.default_rng([self.seed, step, 1, number])
        return self.faces(np.split(self.indices(step), self.parts)[number], generator)

    def batch(self, step: int) -> Batch:
        """The batch of step `step`."""
        parts = [self.part(step, number) for number in range(self.parts)]
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def faces(self, indices: np.ndarray, generator: np.random.Generator) -> Batch:
        """The faces of the records `indices`, changed at random by `augment`.

        A record whose picture does not decode is replaced by the next one that does (see
        `RecordStore.decodable`).
        """
        numbers, pictures = zip(*(self.store.decodable(int(i)) for i in indices), strict=True)
        records = [self.store.record(number) for number in numbers]
        sizes = np.array([picture.shape[1::-1] for picture in pictures], np.float64)
        boxes = np.stack([record.box for record in records]).astype(np.float64)
        boxes = (boxes.reshape(-1, 2, 2) * sizes[:, None] - 0.5).reshape(-1, 4)
        points = np.stack([record.landmarks for record in records]) * sizes[:, None] - 0.5
        transforms = self._transforms(boxes, sizes, generator)
        linear, offsets = transforms[..., :2], transforms[:, None, :, 2]
        landmarks = (points @ linear.swapaxes(1, 2) + offsets).astype(np.float32)
        if self.poses is None:
            poses = np.stack([record.pose for record in records])
        else:
            poses = self.poses[list(numbers)]
        attributes = np.stack([record.attributes for record in records])
        depth = np.stack([record.depth for record in records])
        mirrored = np.zeros(len(records), bool)
        if self.augment != NO_AUGMENTATION:
            poses = turned_poses(poses, np.degrees(np.arctan2(-linear[:, 0, 1], linear[:, 0, 0])))
        if self.augment.mirror:
            mirrored = generator.random(len(records)) < 0.5
            landmarks[mirrored] = mirror_landmarks(landmarks[mirrored], self.store.scheme)
            depth[mirrored] = depth[mirrored][:, self.store.scheme.mirror_index]
            for n in np.flatnonzero(mirrored):
                poses[n] = mirror_pose(poses[n])
                attributes[n] = mirror_attributes(attributes[n], self.attributes)
        classes = [
            face_classes(values, self.attributes, pose)
            for values, pose in zip(attributes, poses, strict=True)
        ]
        pixels = np.array(
            [
                record.pixel((width, height))
                for record, (width, height) in zip(records, sizes.tolist(), strict=True)
            ]
        )
        # A row of the transform is the share of the crop's width, or height, in a photo's pixel.
        crop_sizes = 1 / np.linalg.norm(linear / pixels[:, None], axis=2)
        # A turn in the plane of the picture changes no depth.
        widths = np.array([record.region[2] - record.region[0] for record in records])
        depth = centred(depth) * (widths / depth_unit(crop_sizes, self.crop))[:, None]
        batch: Batch = {
            "image": self._pictures(pictures, transforms, mirrored, landmarks, generator),
            "landmarks": landmarks,
            "depth": depth.astype(np.float32),
            "pose": poses,
            "attributes": attributes,
            "classes": np.stack(classes),
            "crop_size": crop_sizes.astype(np.float32),
        }
        if self.shape_model is not None:
            batch["asm_landmarks"] = asm_copy(self.shape_model, landmarks)
        return batch

    def _transforms(
        self, boxes: np.ndarray, sizes: np.ndarray, generator: np.random.Generator
    ) -> np.ndarray:
        """Affines from pixels of the recorded crops to normalised coordinates, [N, 2, 3]."""
        if self.augment != NO_AUGMENTATION:
            return jittered_transform(boxes, self.crop, sizes, self.augment, generator)
        return np.stack([geometry.to_crop(r) for r in crop_regions(boxes, self.crop, sizes)])

    def _pictures(
        self,
        recorded: Sequence[np.ndarray],
        transforms: np.ndarray,
        mirrored: np.ndarray,
        landmarks: np.ndarray,
        generator: np.random.Generator,
    ) -> np.ndarray:
        """The crops, uint8 [N, H, W, 3]; `landmarks` [N, K, 2] change with the lips."""
        count, changed = len(recorded), self.augment != NO_AUGMENTATION
        images = np.empty((count, self.size[1], self.size[0], 3), np.uint8)
        if changed:
            donors = generator.integers(0, np.arange(1, count + 1)).tolist()
            curves = tone_curves(self.augment, count, generator)
        for n, picture in enumerate(recorded):
            if changed:
                # The copy reads the picture in order, which brings it into the processor's cache.
                # A rotated crop, which reads along slanted lines, is then fast: copy and crop
                # together take half the time of the crop alone.
                picture = picture.copy()
            image = geometry.warp(picture, transforms[n], self.size)
            if mirrored[n]:
                image = cv2.flip(image, 1)
            if self.augment.lips and generator.random() < self.augment.lips:
                image, landmarks[n] = change_lips(image, landmarks[n], self.store.scheme, generator)
            if changed:
                donor = images[donors[n]] if donors[n] < n else image
                image = change_picture(image, self.augment, generator, donor, curves[n])
            images[n] = image
        return images


@functools.lru_cache(maxsize=8)
def _epoch_order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch, 0]).permutation(count)


def batches(
    maker: BatchMaker, first_step: int | tf.Tensor = 0, threads: int = 2
) -> dict[str, tf.Tensor]:
    """The training batches as tensors of the default graph, from `first_step` on, without end.

    `tf.tables_initializer()` starts them, and starts them again when it is run again: from the
    restored global step, where `first_step` is that tensor.

    Args:
      maker: makes the batch of a step.
      first_step: a number, or an int64 [] tensor that is read when the batches start.
      threads: number of parts (`BatchMaker.part`) that are made at the same time.

    Returns:
      Tensors as in `Batch`. Errors of the maker are raised by `session.run` as `tf.errors.OpError`;
      `RecordStore.check_skipped` tells whether corrupt records were the reason.
    """
    example = maker.faces(maker.indices(0)[:1], np.random.default_rng(0))
    keys, parts = sorted(example), maker.parts
    shapes = {key: example[key].shape[1:] for key in keys}

    def load(number: tf.Tensor) -> dict[str, tf.Tensor]:
        def run(number: np.ndarray) -> list[np.ndarray]:
            part = maker.part(*divmod(int(number), parts))
            return [part[key] for key in keys]

        values = tf.numpy_function(run, [number], [tf.as_dtype(example[k].dtype) for k in keys])
        for key, value in zip(keys, values, strict=True):
            value.set_shape((maker.batch_size // parts, *shapes[key]))
        return dict(zip(keys, values, strict=True))

    # In parts, so that all cores share the work for a step: if one core made the whole batch, the
    # replica of the network on that core would delay the others.
    numbers = tf.data.Dataset.range(first_step * parts, np.iinfo(np.int64).max)
    data = numbers.map(load, num_parallel_calls=threads, deterministic=True)
    data = data.batch(parts, drop_remainder=True).prefetch(2)
    # The session's threads make the parts between operations; more threads would interrupt them.
    iterator = tf.data.make_initializable_iterator(data)
    tf.add_to_collection(tf.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
    batch = iterator.get_next()
    return {key: tf.reshape(batch[key], (maker.batch_size, *shapes[key])) for key in keys}


def in_order(maker: BatchMaker, most: int = 0) -> list[Batch]:
    """Records once, in their order, with a shorter last batch; for validation.

    Records whose picture does not decode are left out.

    Args:
      maker: makes the batches.
      most: the number of records, drawn by the maker's seed, one from each of as many equal parts
        of all records; 0: all records.
    """
    generator = np.random.default_rng(maker.seed)
    count = len(maker.store)
    numbers = np.arange(count)
    if 0 < most < count:
        bounds = np.arange(most + 1) * count // most
        numbers = generator.integers(bounds[:-1], bounds[1:])
    starts = range(0, len(numbers), maker.batch_size)
    parts = [numbers[s : s + maker.batch_size] for s in starts]
    batches_made = [maker.faces(part, generator) for part in parts]
    undecodable = list(maker.store.undecodable)
    masks = [~np.isin(part, undecodable) for part in parts]
    return [
        {key: values[mask] for key, values in batch.items()}
        for mask, batch in zip(masks, batches_made, strict=True)
        if mask.any()
    ]
