"""Presets: the configurations that `--preset` selects; some are published recipes."""

import math
from dataclasses import replace

from senet_landmark.config import (
    NO_AUGMENTATION,
    AugmentConfig,
    Config,
    LossConfig,
    NetworkConfig,
    RecordsConfig,
    ScheduleConfig,
    TrainConfig,
)
from senet_landmark.errors import InputError
from senet_landmark.face.geometry import CropSpec

# The recipe of the original write-up, with its mistakes. The default preset corrects them:
#  - The network ends in a ReLU (`fully_connected_9/Relu`): no coordinate can be negative, although
#    landmarks do lie outside a crop, and an output unit that falls below 0 never gets a gradient
#    again.
#  - The split is random over views, so that views of one person are in both splits and the test
#    error is too low. `split_by="source"` avoids this.
#  - The crop is not square, so that the box's shape distorts the face. The original also cropped
#    the detector's box without the training margins at inference. Here training and inference
#    share one crop; only the shape is the original's.
# Its margins are taken one after the other: 0.05 at the bottom are of the height with the 0.3 at
# the top, 0.065 of the box's. They are not rounded to pixels here. The network gets 0 to 255, as
# there; it is RGB at inference too, where the write-up has BGR after RGB in training.
_SENET_ORIGINAL = Config(
    preset="senet_original",
    records=RecordsConfig(
        crop=CropSpec(margins=(0.05, 0.3, 0.05, 0.065), square=False, clip=True),
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
        replicas=1,
        ema_decay=0.0,
        gradient_clip=0.0,
        # The held-out split of this recipe is its test set, which must not choose a checkpoint.
        keep_best=False,
        measure_training=1000,
    ),
)

# A sixth of the FLOPs of `senet`, for small devices.
_SENET_SMALL = Config(preset="senet_small", network=NetworkConfig(width=0.375))

# With the depth of every landmark: for records of `300w_68_3d`.
_SENET_3D = Config(preset="senet_3d", network=NetworkConfig(depth=True))

# A run of one or two minutes: more and smaller steps, and weight averages that follow quickly.
_QUICKSTART = Config(
    preset="quickstart",
    schedule=ScheduleConfig(warmup_steps=30),
    train=TrainConfig(
        minutes=1.25, batch_size=32, ema_decay=0.98, validate_every=150, summary_every=25
    ),
)


# The whole photo, with its proportions lost, as TCDCN takes it.
_WHOLE_PHOTO = RecordsConfig(
    crop=CropSpec(margins=(0.0, 0.0, 0.0, 0.0), square=False, of="photo"), size=160, context=0.0
)

# 224 of 250 pixels of a frame's shorter side. At 392 pixels with that context the shorter side has
# 250, and frames up to 1.57 times as long are recorded whole.
_CUT = (224 / 250 - 1) / 2
_FRAME = RecordsConfig(
    crop=CropSpec(margins=(_CUT, _CUT, _CUT, _CUT), of="photo", fit="inside"),
    size=392,
    context=0.375,
)


def _constant(rate: float) -> ScheduleConfig:
    return ScheduleConfig(initial=rate, final=rate, warmup_steps=0)


# Without what the published recipes do not have. They report errors of training faces too.
_PLAIN_LOOP = TrainConfig(
    replicas=1, ema_decay=0.0, gradient_clip=0.0, keep_best=False, measure_training=1000
)


def _tcdcn(preset: str, landmarks: float, **attributes: float) -> Config:
    """One row of the table of the TCDCN in Keras: weight of the landmarks and of each attribute."""
    return Config(
        preset=preset,
        records=_WHOLE_PHOTO,
        network=NetworkConfig(
            name="tcdcn",
            weight_decay=0.0,
            attributes=tuple(attributes),
            binary_output="sigmoid",
        ),
        augment=NO_AUGMENTATION,
        loss=LossConfig(
            name="l2",
            l2_unit=1.0,
            landmark_weight=landmarks,
            attribute_weights=tuple(attributes.values()),
        ),
        schedule=_constant(1e-3),
        train=replace(_PLAIN_LOOP, epochs=35, validate_every=150),
    )


# Zhang et al., "Facial Landmark Detection by Deep Multi-task Learning", ECCV 2014, as
# reimplemented in Keras and trained on MTFL: whole photos, Adam, 35 epochs, no augmentation.
_TCDCN = (
    _tcdcn("tcdcn", 7, gender=2, smile=4, glasses=1, head_pose=3),
    _tcdcn("tcdcn_attributes", 2, gender=1, smile=4, glasses=1),
    _tcdcn("tcdcn_pose", 4, head_pose=11),
    _tcdcn("tcdcn_landmarks", 1),
)


def _cropped(config: Config) -> Config:
    """The same recipe on crops of faces."""
    return replace(config, preset=f"{config.preset}_cropped", records=RecordsConfig())


def _augmented(config: Config) -> Config:
    """The same on crops of faces, with this project's augmentation, schedule and averages."""
    return replace(
        config,
        preset=f"{config.preset}_augmented",
        records=RecordsConfig(),
        augment=AugmentConfig(),
        schedule=ScheduleConfig(initial=1e-3, final=1e-5),
        train=replace(TrainConfig(), epochs=config.train.epochs),
    )


# A plain CNN on YouTube Faces. A frame is rescaled so that its shorter side has 250 pixels; the
# input is 224x224 out of it, at random in training, in the middle afterwards.
_CNN = Config(
    preset="cnn",
    records=_FRAME,
    network=NetworkConfig(name="cnn", dropout_keep=0.8, weight_decay=0.0),
    augment=replace(NO_AUGMENTATION, random_cut=True),
    loss=LossConfig(name="l2", l2_unit=50.0),
    schedule=_constant(5e-4),
    train=replace(_PLAIN_LOOP, epochs=10, batch_size=10),
)

# For networks that process few faces per second: small batches give them enough steps.
_SMALL_BATCHES = TrainConfig(batch_size=16, replicas=1, ema_decay=0.995, validate_every=250)

# The original network without its last ReLU (a unit that falls below 0 would learn no more), with
# this project's crop and augmentation. In batches of 64, with its last layer begun as written, it
# hardly left the mean face (on validation faces 17.4% after 96,000 faces at 1e-3, 18.5% after
# 45,000 at 5e-3); in batches of 16, with a last layer that begins near the centre, 13.1% after
# 11,000.
_SENET_ORIGINAL_AUGMENTED = replace(
    _SENET_ORIGINAL,
    preset="senet_original_augmented",
    records=RecordsConfig(),
    network=replace(_SENET_ORIGINAL.network, last_relu=False),
    augment=AugmentConfig(),
    schedule=ScheduleConfig(initial=2e-3, final=2e-5, warmup_steps=100),
    train=replace(_SMALL_BATCHES, measure_training=1000),
)

# Guo et al., "PFLD: A Practical Facial Landmark Detector", 2019. Loss and augmentation are the
# paper's; its schedule (64,000 steps of 256 faces at a rate of 1e-4, without averages) takes too
# long on two cores: `pfld_published` has it.
_PFLD = Config(
    preset="pfld",
    network=NetworkConfig(name="pfld", weight_decay=1e-6),
    augment=replace(
        NO_AUGMENTATION, mirror=True, rotation=30, rotation_step=5, occlusion=1, occlusion_area=0.2
    ),
    loss=LossConfig(name="pfld", pose_weight=0.0, pose_truth="landmarks"),
    schedule=ScheduleConfig(initial=2e-3, final=2e-5, warmup_steps=100),
    train=replace(_SMALL_BATCHES, gradient_clip=0.0),
)
_PFLD_025 = replace(_PFLD, preset="pfld_025", network=replace(_PFLD.network, width=0.25))
# What the network reaches without its loss: wing loss, this project's augmentation, and all of the
# paper's features in the last layer.
_PFLD_025_WING = replace(
    _PFLD_025,
    preset="pfld_025_wing",
    network=replace(_PFLD_025.network, flatten_scales=True),
    augment=AugmentConfig(),
    loss=LossConfig(name="wing"),
    train=_SMALL_BATCHES,
)
_PFLD_PUBLISHED = replace(
    _PFLD,
    preset="pfld_published",
    schedule=_constant(1e-4),
    train=replace(_PLAIN_LOOP, steps=64_000, batch_size=256),
)

# Fard et al., "ASMNet: A Lightweight Deep Neural Network for Face Alignment and Pose Estimation",
# CVPRW 2021: dropout 0.3, the ASM copies with weight 2, 1 and 0.5. The sum is the paper's: the pose
# in squared radians outweighs the landmarks in sizes of the crop (0.0108 and 0.0041 on training
# faces after 2,250 steps). `asmnet_balanced` takes a tenth of it.
_ASMNET = Config(
    preset="asmnet",
    network=NetworkConfig(name="asmnet", dropout_keep=0.7, pose=True),
    loss=LossConfig(name="l2", asm_weight=2.0),
    schedule=ScheduleConfig(initial=2e-3, final=2e-5, warmup_steps=100),
    train=_SMALL_BATCHES,
)

_ALL = (
    Config(),
    _SENET_SMALL,
    _SENET_3D,
    _SENET_ORIGINAL,
    _SENET_ORIGINAL_AUGMENTED,
    _QUICKSTART,
    *_TCDCN,
    *map(_cropped, _TCDCN),
    *map(_augmented, _TCDCN),
    _CNN,
    # On crops of faces, 224 out of 250 pixels: a shift by up to 13 pixels.
    replace(_cropped(_CNN), augment=replace(NO_AUGMENTATION, shift=13 / 224)),
    _PFLD,
    _PFLD_025,
    _PFLD_025_WING,
    _PFLD_PUBLISHED,
    replace(_PFLD, preset="pfld_unaugmented", augment=NO_AUGMENTATION),
    replace(_PFLD_025, preset="pfld_025_unaugmented", augment=NO_AUGMENTATION),
    _ASMNET,
    replace(_ASMNET, preset="asmnet_without_asm", loss=replace(_ASMNET.loss, asm_weight=0.0)),
    replace(_ASMNET, preset="asmnet_balanced", loss=replace(_ASMNET.loss, pose_weight=0.1)),
)

PRESETS: dict[str, Config] = {config.preset: config for config in _ALL}


def get_preset(name: str) -> Config:
    """The preset called `name`. Raises InputError that lists the known ones."""
    if name not in PRESETS:
        raise InputError(f"Unknown preset {name!r}. Known: {', '.join(sorted(PRESETS))}.")
    return PRESETS[name]


def for_minutes(config: Config, minutes: float) -> Config:
    """The recipe for a run of these minutes: no preset's steps or epochs end it before.

    Raises:
      InputError: `minutes` is not above 0.
    """
    if not 0 < minutes < math.inf:
        raise InputError(f"--minutes must be above 0, it is {minutes:g}.")
    return replace(config, train=replace(config.train, epochs=0, steps=10**9, minutes=minutes))
