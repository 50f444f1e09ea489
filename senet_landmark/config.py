"""What a run does, as frozen dataclasses: presets, JSON beside weights, the command line."""

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from senet_landmark.errors import InputError
from senet_landmark.files import read_json, write_json
from senet_landmark.geometry import CropSpec


@dataclass(frozen=True)
class RecordsConfig:
    """How photos become records. A record is the crop with a context around it."""

    crop: CropSpec = field(default_factory=CropSpec)
    """From canonical face box to crop."""
    size: int = 240
    """Side of a recorded crop, context included, in pixels."""
    context: float = 0.25
    """Real pixels kept beyond the crop on each side, as a share of it, for augmentation."""
    held_out: float = 0.1
    """Share of the source photos, or persons, that goes to the held-out split."""
    test: float = 0.0
    """Share of them that goes to a test split, which training never looks at; what a data set
    publishes for testing goes there whatever the share."""
    held_out_name: str = "validation"
    """Name of the held-out split, and of its files."""
    split_by: Literal["source", "view"] = "source"
    """`source` keeps a photo's views, or a person's photos, on one side; `view` leaks them."""
    shard_size: int = 500
    """Faces in one TFRecord file; 0 writes one file a split."""
    seed: int = 0
    """Seed of the split and of the order of records."""


@dataclass(frozen=True)
class NetworkConfig:
    """Which network, by its name in `networks.registry`."""

    name: str = "senet"
    """Name in the registry."""
    head: Literal["soft_argmax", "fc"] = "soft_argmax"
    """From features to landmarks: expected coordinate over maps, or fully connected."""
    dropout_keep: float = 0.8
    """Share of the features that dropout keeps (`fc` head only)."""
    weight_decay: float = 1e-5
    """L2 regularisation of the weights."""


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of a training face; photo and points change together."""

    mirror: bool = True
    """Mirror half of the faces, with the scheme's permutation of the points."""
    rotation: float = 24.0
    """Largest in-plane turn, degrees; normally distributed with half of this as deviation."""
    scale: float = 0.1
    """Largest change of size, as a share."""
    shift: float = 0.04
    """Largest shift, as a share of the crop."""
    box_jitter: float = 0.03
    """Deviation of each edge of the face box, as a share of its side: detector noise."""
    light: float = 0.3
    """Strength of brightness, contrast and gamma changes; 0 is none."""
    colour: float = 0.15
    """Strength of the change of each colour's gain; 0 is none."""
    grey: float = 0.1
    """Share of faces made grey."""
    blur: float = 0.1
    """Share of faces blurred, or reduced and enlarged."""
    occlusion: float = 0.2
    """Share of faces with a rectangle of noise, flat colour or another face over them."""


NO_AUGMENTATION = AugmentConfig(
    mirror=False, rotation=0, scale=0, shift=0, box_jitter=0,
    light=0, colour=0, grey=0, blur=0, occlusion=0,
)  # fmt: skip


@dataclass(frozen=True)
class LossConfig:
    """Which loss, by its name in `losses.LOSSES`; distances are in pixels of the input."""

    name: str = "wing"
    """wing, adaptive_wing, smooth_l1 or l2: a name in the registry."""
    heatmap_weight: float = 2.0
    """Weight of the maps' own loss beside it (`soft_argmax` head only); 0: none."""


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
    minutes: float = 0.0
    """Minutes of the run, all sessions added up; 0: only `steps` ends it."""
    batch_size: int = 64
    """Faces in a step."""
    ema_decay: float = 0.998
    """Decay of the exponential moving average of the weights that is validated; 0: none."""
    gradient_clip: float = 5.0
    """Largest global norm of the gradients; 0: no limit."""
    validate_every: int = 500
    """Steps between validations, which also save a checkpoint."""
    summary_every: int = 100
    """Steps between TensorBoard summaries."""
    keep_best: bool = True
    """Keep the weights with the lowest validation NME; otherwise freezing takes the latest."""
    threads: int = 0
    """Threads of TensorFlow and of the input pipeline; 0: one a core."""
    cache_mb: int = 4000
    """Memory for decoded crops; beyond it they are decoded anew."""
    seed: int = 0
    """Seed of weights, data order and augmentation."""


@dataclass(frozen=True)
class Config:
    """Everything that decides a run's result, written beside its weights as `config.json`."""

    preset: str = "senet"
    """Name of the preset that it began as."""
    records: RecordsConfig = field(default_factory=RecordsConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


# The original write-up's recipe, kept as it was, mistakes included. What the default changes:
#  - The network ends in a ReLU (`fully_connected_9/Relu`): no coordinate can be negative, though
#    landmarks do lie outside a crop, and an output unit that falls below 0 gets no gradient again.
#  - Its split is random over views, so views of one person are on both sides and its test error
#    is too good to be true. `split_by="source"` is the remedy.
#  - Its crop is not square (faces are distorted by their box's shape) and, at inference, it fed
#    the detector's box without the training margins. Here both use one crop; only the shape stays.
_SENET_ORIGINAL = Config(
    preset="senet_original",
    records=RecordsConfig(
        crop=CropSpec(margins=(0.05, 0.3, 0.05, 0.05), square=False, clip=True),
        size=128,
        context=0.0,
        held_out=0.2,
        held_out_name="test",
        split_by="view",
        shard_size=0,
    ),
    network=NetworkConfig(name="senet_original", head="fc", dropout_keep=0.8, weight_decay=1e-5),
    augment=NO_AUGMENTATION,
    loss=LossConfig(name="l2"),
    schedule=ScheduleConfig(initial=0.001, decay_steps=1000, decay_rate=0.98, warmup_steps=0),
    train=TrainConfig(
        steps=150_000,
        ema_decay=0.0,
        gradient_clip=0.0,
        # The held-out split of this recipe is its test set, which must not choose a checkpoint.
        keep_best=False,
    ),
)

# A run of a minute or two: more and smaller steps, averages that follow at once.
_QUICKSTART = Config(
    preset="quickstart",
    schedule=ScheduleConfig(warmup_steps=30),
    train=TrainConfig(
        minutes=1.25, batch_size=32, ema_decay=0.98, validate_every=150, summary_every=25
    ),
)

PRESETS: dict[str, Config] = {c.preset: c for c in (Config(), _SENET_ORIGINAL, _QUICKSTART)}


def get_preset(name: str) -> Config:
    """The preset called `name`. Raises InputError that lists the known ones."""
    if name not in PRESETS:
        raise InputError(f"Unknown preset {name!r}. Known: {', '.join(sorted(PRESETS))}.")
    return PRESETS[name]


def check_config(config: Config) -> None:
    """Refuses values that no run can have. Raises InputError that names the field."""
    at_least_one: dict[str, float] = {
        "train.steps": config.train.steps,
        "train.batch_size": config.train.batch_size,
        "train.validate_every": config.train.validate_every,
        "train.summary_every": config.train.summary_every,
    }
    not_negative: dict[str, float] = {
        "train.minutes": config.train.minutes,
        "train.gradient_clip": config.train.gradient_clip,
        "train.threads": config.train.threads,
        "train.seed": config.train.seed,
        "network.weight_decay": config.network.weight_decay,
        "loss.heatmap_weight": config.loss.heatmap_weight,
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
    if not 0 < config.network.dropout_keep <= 1:
        raise InputError("network.dropout_keep must be in (0, 1].")


def to_json(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON values."""
    return dataclasses.asdict(config)


def from_json(cls: type, value: Any, where: str = "config") -> Any:
    """Rebuilds dataclass `cls` from `to_json`'s values.

    Missing fields take their default. Raises InputError that names `where` and the field when a
    value has another type or a field is unknown.
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
