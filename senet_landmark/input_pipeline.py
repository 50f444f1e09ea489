"""Records -> batches of {image, landmarks, pose, attributes}.

The batch of a step is a function of (seed, step) alone, so that a resumed run sees the faces, and
the random changes, that an undisturbed run would have seen. `tf.data` runs the function for the
next steps in parallel while the current one trains.
"""

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark import geometry
from senet_landmark.attributes import face_classes, mirror_attributes
from senet_landmark.augment import change_picture, jittered_transform, mirror_face
from senet_landmark.config import NO_AUGMENTATION, AugmentConfig
from senet_landmark.errors import InputError
from senet_landmark.geometry import CropSpec
from senet_landmark.images import decode_photo
from senet_landmark.pose import PFLD_POINTS, STABLE_POINTS, known_pose, mirror_pose, turn_pose
from senet_landmark.records import Record, parse_example
from senet_landmark.schemes import Scheme, get_scheme
from senet_landmark.shape_model import ShapeModel, asm_copy, fit_shape_model
from senet_landmark.tfrecords import HEAD, tfrecords_in

Batch = dict[str, np.ndarray]
"""image uint8 [N, H, W, 3]; landmarks float32 [N, K, 2], NaN where unknown; pose float32 [N, 3];
attributes float32 [N, A]; classes float32 [N, C], 0 or 1, of `attributes.face_classes`; with a
shape model asm_landmarks float32 [N, K, 2], the ASM copies of the landmarks."""


class RecordStore:
    """Random access to the records of one split.

    Args:
      paths: TFRecord files.
      cache_mb: memory for decoded crops, in megabytes.

    Raises:
      InputError: a file is not a TFRecord file or is damaged, a record has another schema, records
        have different schemes, or there is none at all.
    """

    def __init__(self, paths: list[Path], cache_mb: int = 4000):
        self._records: list[Record] = []
        self._places: list[tuple[Path, int, int]] = []
        self._decoded: dict[int, np.ndarray] = {}
        self._room = cache_mb * 1_000_000
        for path in paths:
            self._scan(path)
        if not self._records:
            raise InputError(f"{paths[0].parent if paths else 'records'}: holds no record.")
        schemes = {record.scheme for record in self._records}
        if len(schemes) != 1:
            raise InputError(f"Records of different schemes cannot be mixed: {sorted(schemes)}.")
        self.scheme: Scheme = get_scheme(schemes.pop())

    def _scan(self, path: Path) -> None:
        for offset, data in tfrecords_in(path):
            record = parse_example(data, f"{path}, record {len(self._places)}")
            # Pixels stay in the file: a data set need not fit into memory.
            self._records.append(replace(record, image=b""))
            self._places.append((path, offset + HEAD, len(data)))

    def __len__(self) -> int:
        return len(self._records)

    def record(self, index: int) -> Record:
        """The record without its image bytes."""
        return self._records[index]

    def image(self, index: int) -> np.ndarray:
        """The recorded crop with context, RGB uint8 [height, width, 3]."""
        image = self._decoded.get(index)
        if image is None:
            path, offset, length = self._places[index]
            with open(path, "rb") as stream:
                stream.seek(offset)
                data = stream.read(length)
            name = f"{path} ({self._records[index].source})"
            image = decode_photo(parse_example(data, name).image, name)
            if image.nbytes <= self._room:
                self._room -= image.nbytes
                self._decoded[index] = image
        return image


def true_poses(store: RecordStore, truth: Literal["records", "landmarks"]) -> np.ndarray:
    """Yaw, pitch and roll in degrees of all records, float32 [M, 3]; NaN where there is no telling.

    Args:
      store: the records.
      truth: `records`: of the data set, else fitted to the landmarks; `landmarks`: fitted to the 11
        landmarks of PFLD where the scheme has them, else to those that it has.
    """
    fitted = PFLD_POINTS if truth == "landmarks" else STABLE_POINTS
    unknown = np.full(3, np.nan)
    poses = []
    for index in range(len(store)):
        record = store.record(index)
        points = record.landmarks * (record.region[2:] - record.region[:2])
        given = unknown if truth == "landmarks" else record.pose
        poses.append(known_pose(given, points, record.scheme, fitted) or unknown)
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
      crop: from canonical box to crop.
      size: (width, height) of the network's input.
      augment: random changes; `config.NO_AUGMENTATION` for none.
      batch_size: faces in a batch.
      seed: seed of order and changes.
      shuffle: a new random order each epoch; otherwise the records' own, again and again.
      attributes: names of the records' attributes; some change when a face is mirrored.
      poses: yaw, pitch and roll of all records in degrees [M, 3]; None: as recorded.
      shape_model: makes the ASM copies of the landmarks; None: there are none.
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

    def indices(self, step: int) -> np.ndarray:
        """Which records step `step` sees, int64 [batch_size]; each epoch is a permutation."""
        count = len(self.store)
        positions = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs, places = np.divmod(positions, count)
        if not self.shuffle:
            return places
        orders = {int(e): _epoch_order(self.seed, int(e), count) for e in np.unique(epochs)}
        return np.array([orders[int(e)][p] for e, p in zip(epochs, places, strict=True)])

    def batch(self, step: int) -> Batch:
        """The batch of step `step`."""
        generator = np.random.default_rng([self.seed, step, 1])
        return self.faces(self.indices(step), generator)

    def faces(self, indices: np.ndarray, generator: np.random.Generator) -> Batch:
        """The faces of the records `indices`, changed at random by `augment`."""
        count, scheme = len(indices), self.store.scheme
        records = [self.store.record(int(index)) for index in indices]
        images = np.empty((count, self.size[1], self.size[0], 3), np.uint8)
        landmarks = np.empty((count, scheme.points, 2), np.float32)
        if self.poses is None:
            poses = np.stack([record.pose for record in records])
        else:
            poses = self.poses[indices].copy()
        attributes = np.stack([record.attributes for record in records])
        for n, (index, record) in enumerate(zip(indices, records, strict=True)):
            recorded = self.store.image(int(index))
            size = (recorded.shape[1], recorded.shape[0])
            pixels = geometry.to_pixels(size)
            points = geometry.apply(pixels, record.landmarks.astype(np.float64))
            box = geometry.apply(pixels, record.box.astype(np.float64).reshape(2, 2)).ravel()
            if self.augment == NO_AUGMENTATION:
                transform = geometry.to_crop(geometry.crop_box(box, self.crop, size))
            else:
                transform = jittered_transform(box, self.crop, size, self.augment, generator)
            images[n] = geometry.warp(recorded, transform, self.size)
            landmarks[n] = geometry.apply(transform, points)
            if self.augment == NO_AUGMENTATION:
                continue
            turn = np.degrees(np.arctan2(-transform[0, 1], transform[0, 0]))
            if np.isfinite(poses[n]).all():
                poses[n] = turn_pose(poses[n], turn)
            if self.augment.mirror and generator.random() < 0.5:
                images[n], landmarks[n] = mirror_face(images[n], landmarks[n], scheme)
                poses[n] = mirror_pose(poses[n])
                attributes[n] = mirror_attributes(attributes[n], self.attributes)
            donor = images[generator.integers(n + 1)]
            images[n] = change_picture(images[n], self.augment, generator, donor)
        classes = [
            face_classes(values, self.attributes, pose)
            for values, pose in zip(attributes, poses, strict=True)
        ]
        batch: Batch = {
            "image": images,
            "landmarks": landmarks,
            "pose": poses,
            "attributes": attributes,
            "classes": np.stack(classes),
        }
        if self.shape_model is not None:
            batch["asm_landmarks"] = asm_copy(self.shape_model, landmarks)
        return batch


@functools.lru_cache(maxsize=8)
def _epoch_order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch, 0]).permutation(count)


def batches(maker: BatchMaker, first_step: int = 0, threads: int = 2) -> dict[str, tf.Tensor]:
    """The training batches as tensors of the default graph, from `first_step` on, without end.

    Returns:
      Tensors as in `Batch`. Errors of the maker surface in `session.run`.
    """
    example = maker.batch(0)
    keys = sorted(example)

    def load(step: tf.Tensor) -> dict[str, tf.Tensor]:
        def run(number: np.ndarray) -> list[np.ndarray]:
            batch = maker.batch(int(number))
            return [batch[key] for key in keys]

        values = tf.numpy_function(run, [step], [tf.as_dtype(example[k].dtype) for k in keys])
        for key, value in zip(keys, values, strict=True):
            value.set_shape(example[key].shape)
        return dict(zip(keys, values, strict=True))

    steps = tf.data.Dataset.range(first_step, np.iinfo(np.int64).max)
    data = steps.map(load, num_parallel_calls=threads, deterministic=True).prefetch(2)
    return tf.data.make_one_shot_iterator(data).get_next()


def in_order(maker: BatchMaker) -> list[Batch]:
    """All records once, in their own order, the last batch shorter; for validation."""
    generator = np.random.default_rng(maker.seed)
    numbers = np.arange(len(maker.store))
    starts = range(0, len(numbers), maker.batch_size)
    return [maker.faces(numbers[s : s + maker.batch_size], generator) for s in starts]
