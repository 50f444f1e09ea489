"""The settings of a run, as frozen dataclasses.

The presets, the `config.json` beside the weights and the options of the command line all use them.
"""

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from senet_landmark.errors import InputError
from senet_landmark.face.geometry import CropSpec
from senet_landmark.io.files import read_json, write_json


@dataclass(frozen=True)
class RecordsConfig:
    """How photos become records. A record holds the crop with some context around it."""

    crop: CropSpec = field(default_factory=CropSpec)
    """From canonical face box to crop."""
    size: int = 240
    """Side of a recorded crop, context included, in pixels."""
    context: float = 0.25
    """Photo pixels kept beyond the crop on each side, for augmentation; as a share of the crop."""
    held_out: float = 0.1
    """Share of the source photos, or persons, that goes to the held-out split."""
    test: float = 0.0
    """Share of the source photos, or persons, that goes to a test split, which training never
    reads. Photos that the data set publishes for testing always go there."""
    held_out_name: str = "validation"
    """Name of the held-out split, and of its files."""
    split_by: Literal["source", "view", "published"] = "source"
    """`source` keeps all views of a photo, or all photos of a person, in one split. `view` does
    not: its splits share faces. `published` is `view` but for the data set's part `test`, which is
    the test split even where it shares its persons, as that of YouTube Faces does."""
    shard_size: int = 500
    """Faces in one TFRecord file; 0 writes one file a split."""
    seed: int = 0
    """Seed of the split and of the order of records."""
    photos_of: str = ""
    """Data set that the photos come from, where their annotations are in a general format as CSV or
    COCO. Weights that are trained on them name it in their licence."""


@dataclass(frozen=True)
class NetworkConfig:
    """Which network, by its name in `networks.registry`."""

    name: str = "senet"
    """Which network, by its name in the registry."""
    head: Literal["default", "soft_argmax", "fc"] = "default"
    """How features become landmarks: expected coordinate over heatmaps (`soft_argmax`), or fully
    connected layers (`fc`); `default` is the network's own head."""
    width: float = 1.0
    """Factor on the number of channels of every layer; `senet` and `pfld` only."""
    batch_norm: bool = False
    """Batch normalisation in the networks that were published without it: `cnn` and `tcdcn`."""
    dropout_keep: float = 0.8
    """Share of the features that dropout keeps, where the network has dropout."""
    weight_decay: float = 1e-5
    """L2 regularisation of the weights."""
    pose: bool = False
    """Also predict yaw, pitch and roll."""
    depth: bool = False
    """Also predict the landmarks' depth, which some of the records must have."""
    attributes: tuple[str, ...] = ()
    """Also predict these attributes, which the records must have: gender smile …"""
    binary_output: Literal["softmax", "sigmoid"] = "softmax"
    """How an attribute of two classes is predicted: two logits, or one as `tcdcn` was published."""
    last_relu: bool = True
    """The ReLU behind the coordinates of `senet_original`."""
    flatten_scales: bool = False
    """All of `pfld`'s first two scales go into its last layer, instead of their means."""


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of a training face; photo and points change together."""

    mirror: bool = True
    """Mirror half of the faces, with the scheme's permutation of the points."""
    rotation: float = 24.0
    """Largest in-plane rotation in degrees; drawn from a normal distribution with half of this as
    standard deviation."""
    rotation_step: float = 0.0
    """If not 0: rotations are multiples of this many degrees up to `rotation`, equally likely."""
    scale: float = 0.1
    """Largest change of size, as a share of the size."""
    shift: float = 0.04
    """Largest shift, as a share of the crop."""
    box_jitter: float = 0.03
    """Standard deviation of each edge of the face box, as a share of its side; stands for the noise
    of a detector."""
    light: float = 0.3
    """Strength of brightness, contrast and gamma changes; 0: none."""
    colour: float = 0.15
    """Strength of the change of each colour's gain; 0: none."""
    grey: float = 0.1
    """Share of faces made grey."""
    lips: float = 0.0
    """Share of faces whose lips get other tones and another height, and half of these darker skin
    (`senet_landmark/data/lips.py`)."""
    blur: float = 0.1
    """Share of faces blurred, or reduced and enlarged."""
    occlusion: float = 0.2
    """Share of faces with a rectangle of noise, flat colour or another face over them."""
    occlusion_area: float = 0.0
    """Share of the crop that the rectangle covers; 0: at random, up to a quarter."""
    random_cut: bool = False
    """Cut the crop at a random place within the box that it is taken of, instead of in the middle;
    for crops that are smaller than that box, as of whole photos."""


NO_AUGMENTATION = AugmentConfig(
    mirror=False, rotation=0, scale=0, shift=0, box_jitter=0,
    light=0, colour=0, grey=0, blur=0, occlusion=0,
)  # fmt: skip


@dataclass(frozen=True)
class LossConfig:
    """What training minimises: one term for the landmarks plus one for each auxiliary task."""

    name: str = "wing"
    """Loss of the landmarks, by its name in `losses.LOSSES`."""
    landmark_weight: float = 1.0
    """Weight of the landmarks' term."""
    l2_unit: float = 0.0
    """Pixels of the network's input that count as 1 in l2; 0: its whole width and height."""
    heatmap_weight: float = 2.0
    """Weight of the additional loss of the heatmaps (`soft_argmax` head only); 0: none."""
    asm_weight: float = 0.0
    """Weight of the same loss against the ASM copy of the ground truth in the first third of a run;
    half of it in the second third, a quarter in the last. 0: no ASM copy."""
    asm_share: float = 0.9
    """Share of the training shapes' variance that the ASM copies keep."""
    shape_model: str = ""
    """File that `shape-model` wrote, for the ASM copies; by default a shape model is fitted to the
    training faces with `asm_share`."""
    pose_weight: float = 1.0
    """Weight of the squared error of the angles in radians, where the network predicts a pose."""
    pose_truth: Literal["records", "landmarks"] = "records"
    """Ground truth of the angles. `records`: those of the data set, or fitted to the landmarks
    where it has none; `landmarks`: always fitted to the 11 landmarks of PFLD."""
    depth_weight: float = 20.0
    """Weight of the absolute error of the depth in units of the face box, where the network
    predicts it."""
    attribute_weights: tuple[float, ...] = ()
    """Weights of the cross-entropies of `network.attributes`, in their order; empty: 1 each."""


@dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate: linear warm-up, then exponential decay."""

    initial: float = 5e-3
    """Learning rate after the warm-up."""
    final: float = 5e-5
    """Learning rate at the end of the run; used when `decay_steps` is 0."""
    decay_steps: int = 0
    """Steps between decays by `decay_rate` (tf.train.exponential_decay); 0: `initial` to `final`
    over the whole run, in steps or minutes."""
    decay_rate: float = 0.98
    """Factor of one decay; used when `decay_steps` is not 0."""
    warmup_steps: int = 200
    """Steps of linear warm-up."""


@dataclass(frozen=True)
class TrainConfig:
    """The training loop."""

    steps: int = 30_000
    """Steps of the run."""
    epochs: int = 0
    """Passes through the training faces, instead of `steps`; 0: `steps` decides."""
    minutes: float = 0.0
    """Minutes of the run, summed over all times it was resumed; 0: only `steps` ends it."""
    batch_size: int = 64
    """Faces in a step; in a distributed run, the faces of all workers together."""
    replicas: int = 2
    """Copies of the network that share the weights and run in parallel, each on part of the step's
    faces: faster than one copy on all cores. Batch norm uses the faces of one copy at a time."""
    ema_decay: float = 0.998
    """Decay of the exponential moving average of the weights, which is validated; 0: no average."""
    gradient_clip: float = 5.0
    """Largest global norm of the gradients; 0: no limit."""
    validate_every: int = 500
    """Steps between validations, which also save a checkpoint."""
    measure_training: int = 0
    """Training faces that every validation measures too, drawn evenly and not augmented; figures
    with the prefix `training_`, beside those of the validation faces. 0: none."""
    summary_every: int = 100
    """Steps between points of the training curves."""
    trackers: tuple[str, ...] = ()
    """Experiment trackers that get curves, pictures and settings too; TensorBoard needs none."""
    keep_best: bool = True
    """Keep the weights with the lowest validation NME; otherwise freezing takes the latest."""
    task_stopping: float = 0.0
    """Threshold at which the training of an auxiliary task stops, because it no longer helps the
    landmarks (`task_stopping.py`); 0: no task stops."""
    threads: int = 0
    """Threads of TensorFlow and of the input pipeline; 0: one per core."""
    cache_mb: int = 4000
    """Memory for decoded crops, in megabytes; crops beyond it are decoded again at each use."""
    seed: int = 0
    """Seed of weights, data order and augmentation."""
    start_from: str = ""
    """Where the run's first weights come from (fine-tuning): the folder of a run, a `.pb`, or the
    name of a shipped model such as senet-68. Its landmark scheme may differ from this run's."""
    more_records: tuple[str, ...] = ()
    """Folders of more records, whose training faces are added; a folder that is given twice is used
    twice as often. Faces that share an identity with a held-out face of the run's main records are
    left out. Validation uses the main records only."""
    even_skin: float = 0.0
    """Faces of rare skin tones more often: a group of n faces, by the tone in their photos, is
    drawn in proportion to n to the power of 1 less this. 0: as often as they are; 0.5: by the
    root; 1: each tone as often as the others (`senet_landmark/data/even_sampling.py`)."""
    patience: int = 0
    """The run ends after this many validations in a row without a lower NME; 0: it does not."""
    max_corrupt: int = 100
    """Largest number of corrupt records: they are skipped, counted and listed. One more ends the
    run."""
    report: bool = True
    """Write `report.html` at the end: curves and pictures."""
    wait_minutes: float = 30.0
    """On several machines: how long a worker or parameter server waits for the others before it
    gives up; 0: for ever."""


@dataclass(frozen=True)
class Config:
    """Everything that decides a run's result, written beside its weights as `config.json`."""

    preset: str = "senet"
    """Name of the preset that it started from."""
    records: RecordsConfig = field(default_factory=RecordsConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


def check_config(config: Config) -> None:
    """Refuses values that no run can have. Raises InputError that names the field."""
    at_least_one: dict[str, float] = {
        "train.steps": config.train.steps,
        "train.batch_size": config.train.batch_size,
        "train.replicas": config.train.replicas,
        "train.validate_every": config.train.validate_every,
        "train.summary_every": config.train.summary_every,
    }
    not_negative: dict[str, float] = {
        "train.minutes": config.train.minutes,
        "train.wait_minutes": config.train.wait_minutes,
        "train.gradient_clip": config.train.gradient_clip,
        "train.threads": config.train.threads,
        "train.seed": config.train.seed,
        "network.weight_decay": config.network.weight_decay,
        "train.epochs": config.train.epochs,
        "train.task_stopping": config.train.task_stopping,
        "train.patience": config.train.patience,
        "train.measure_training": config.train.measure_training,
        "train.max_corrupt": config.train.max_corrupt,
        "augment.rotation_step": config.augment.rotation_step,
        "loss.heatmap_weight": config.loss.heatmap_weight,
        "loss.landmark_weight": config.loss.landmark_weight,
        "loss.l2_unit": config.loss.l2_unit,
        "loss.asm_weight": config.loss.asm_weight,
        "loss.pose_weight": config.loss.pose_weight,
        "loss.depth_weight": config.loss.depth_weight,
        "the smallest of loss.attribute_weights": min(config.loss.attribute_weights, default=0),
    }
    for name, value in at_least_one.items():
        if value < 1:
            raise InputError(f"{name} must be at least 1, not {value}.")
    for name, value in not_negative.items():
        if not value >= 0:
            raise InputError(f"{name} must not be negative, it is {value}.")
    for name in ("initial", "final"):
        if not getattr(config.schedule, name) > 0:
            raise InputError(f"schedule.{name} must be above 0.")
    if not 0 <= config.train.ema_decay < 1:
        raise InputError(f"train.ema_decay must be in [0, 1), not {config.train.ema_decay}.")
    if not 0 <= config.train.even_skin <= 1:
        raise InputError(f"train.even_skin must be in [0, 1], not {config.train.even_skin}.")
    if not 0 < config.network.dropout_keep <= 1:
        raise InputError("network.dropout_keep must be in (0, 1].")
    if not config.network.width > 0:
        raise InputError(f"network.width must be above 0, it is {config.network.width}.")
    if not 0 < config.loss.asm_share <= 1:
        raise InputError(f"loss.asm_share must be in (0, 1], not {config.loss.asm_share}.")
    if not 0 <= config.augment.occlusion_area <= 1:
        raise InputError(
            f"augment.occlusion_area must be in [0, 1], not {config.augment.occlusion_area}."
        )
    weights, attributes = config.loss.attribute_weights, config.network.attributes
    if weights and len(weights) != len(attributes):
        raise InputError(
            f"loss.attribute_weights has {len(weights)} values for the {len(attributes)} "
            "network.attributes."
        )


def to_json(config: Any) -> dict[str, Any]:
    """A dataclass instance as plain JSON values."""
    return dataclasses.asdict(config)


def flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """The values in nested objects of JSON: (a.b.c, text of the value) of each."""
    if not isinstance(value, dict):
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        return [(name, shown or "–")]
    pairs = [flat(v, f"{name}.{k}" if name else str(k)) for k, v in value.items()]
    return [pair for nested in pairs for pair in nested]


def from_json(cls: type, value: Any, where: str = "config") -> Any:
    """Rebuilds dataclass `cls` from the values that `to_json` returned.

    Args:
      cls: the dataclass.
      value: its fields by their names; a missing field takes its default.
      where: what the values are of, for messages.

    Raises:
      InputError: a value has another type, or a field is unknown; it names `where` and the field.
    """
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected an object with fields, found {value!r}.")
    hints = typing.get_type_hints(cls)
    known = {f.name for f in dataclasses.fields(cls)}
    if unknown := set(value) - known:
        raise InputError(f"{where}: unknown field {sorted(unknown)[0]!r}; known: {sorted(known)}.")
    return cls(**{k: _value(hints[k], v, f"{where}.{k}") for k, v in value.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast(type, hint), value, where)
    if origin is Literal:
        if value not in arguments:
            raise InputError(f"{where}: {value!r} is not one of {list(arguments)}.")
        return value
    if origin in (types.UnionType, typing.Union):
        options = [a for a in arguments if a is not type(None)]
        return None if value is None else _value(options[0], value, where)
    if origin is tuple and isinstance(value, list | tuple):
        item_hints = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(item_hints) != len(value):
            raise InputError(f"{where}: needs {len(item_hints)} values, found {len(value)}.")
        pairs = zip(item_hints, value, strict=True)
        return tuple(_value(h, v, f"{where}[{i}]") for i, (h, v) in enumerate(pairs))
    if origin is dict and isinstance(value, dict):
        return {k: _value(arguments[1], v, f"{where}[{k}]") for k, v in value.items()}
    if hint is Any:
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    expected = origin or hint
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise InputError(f"{where}: expected {expected.__name__}, found {value!r}.")
    return value


def save_config(path: Path | str, config: Config) -> None:
    """Writes `config` as JSON, whole or not at all."""
    write_json(path, to_json(config))


def load_config(path: Path | str) -> Config:
    """Reads what `save_config` wrote. Raises InputError that names file and field."""
    return from_json(Config, read_json(path), where=str(path))
