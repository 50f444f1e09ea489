"""The preparation of a run: what it reads, checks and writes before its first step."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from senet_landmark.config import NO_AUGMENTATION, Config, LossConfig
from senet_landmark.data.even_sampling import even_weights, tones_of
from senet_landmark.data.identities import check_splits_apart, identities
from senet_landmark.data.input_pipeline import BatchMaker, shape_model_of, true_poses
from senet_landmark.data.record_store import Adapt, RecordStore
from senet_landmark.data.records import (
    Record,
    RecordsInfo,
    in_scheme,
    load_records_info,
    shard_paths,
    shards_of,
)
from senet_landmark.environment import environment
from senet_landmark.errors import InputError
from senet_landmark.face.scheme_conversion import can_convert
from senet_landmark.face.shape_model import ShapeModel, load_shape_model, save_shape_model
from senet_landmark.io.files import read_json, write_json
from senet_landmark.losses import get_loss, learns_pose
from senet_landmark.networks.registry import get_network, resolved
from senet_landmark.networks.weights import Weights
from senet_landmark.training import checkpoints
from senet_landmark.training.distributed.cluster import Cluster
from senet_landmark.training.fine_tuning import initial_weights
from senet_landmark.training.validation import Validator


@dataclass(frozen=True)
class Prepared:
    """What a training process prepares before it builds its graph.

    Attributes:
      config: configuration of the run, with the configuration of the records.
      run: folder of the run.
      maker: makes this process's batches.
      validator: validator of the chief; None in other processes.
      restored: prefix of the checkpoint from which the run is resumed, or None.
      start: first weights, from another run; None: initialised at random, or restored.
    """

    config: Config
    run: Path
    maker: BatchMaker
    validator: Validator | None
    restored: str | None
    start: Weights | None


def make_batches(config: Config, info: RecordsInfo, store: RecordStore) -> BatchMaker:
    """A maker of batches by the configuration, without poses and ASM copies."""
    return BatchMaker(
        store=store,
        crop=info.crop,
        size=get_network(config.network.name).input_size,
        augment=config.augment,
        batch_size=config.train.batch_size,
        seed=config.train.seed,
        attributes=info.attributes,
    )


def training_maker(
    config: Config,
    records: Path,
    info: RecordsInfo,
    resumed: Path | None = None,
    cluster: Cluster | None = None,
) -> BatchMaker:
    """The maker of this process's training batches.

    Args:
      config: configuration of the run.
      records: folder of the records.
      info: description of the records.
      resumed: folder of a run that is resumed; its shape model is used again.
      cluster: the processes of a distributed run: the maker then reads this worker's files, and
        makes its share of a batch.

    Raises:
      InputError: the records or the configuration are invalid, as in `train`.
    """
    options = config.train
    part, parts = (cluster.part, cluster.workers) if cluster else (0, 1)
    if options.batch_size % parts:
        raise InputError(
            f"train.batch_size is that of all workers together: {options.batch_size} cannot be "
            f"shared by {parts}."
        )
    if config.loss.asm_weight and not info.crop.square:
        raise InputError(f"{records}: their crops are not square, which ASM copies need.")
    paths, adapt = shard_paths(records, info, "train"), None
    if options.more_records:
        more, adapt = _more_records(records, info, options.more_records)
        paths += more
    store = RecordStore(shards_of(paths, part, parts), options.cache_mb, options.max_corrupt, adapt)
    if parts == 1:  # with several workers, the faces of one may all lack an attribute
        _check_attributes_known(config.network.attributes, info.attributes, store, records)
        if config.network.depth:
            _check_depth_known(store, records)
    all_faces = store
    if parts > 1 and config.loss.asm_weight:  # the shape model is fitted to all faces
        all_faces = RecordStore(paths, 0, options.max_corrupt, adapt)
    return replace(
        make_batches(config, info, store),
        batch_size=options.batch_size // parts,
        # Each worker has its own random augmentation; a single process uses the configured seed.
        seed=options.seed + part * 1_000_003,
        poses=_true_poses(config, store),
        shape_model=_shape_model(config.loss, all_faces, resumed),
        weights=even_weights(tones_of(store), options.even_skin) if options.even_skin else None,
    )


def _check_attributes_known(
    wanted: Sequence[str], names: Sequence[str], store: RecordStore, records: Path
) -> None:
    """Raises InputError if an attribute to be learnt is unknown for all training faces."""
    for name in wanted:
        if name in names:  # the loss checks that the records have the attribute at all
            column = names.index(name)
            values = (store.record(index).attributes[column] for index in range(len(store)))
            if not np.isfinite(list(values)).any():
                raise InputError(
                    f"{records}: none of the {len(store)} training faces has a value for {name}, "
                    "which network.attributes asks for. Leave it out, or give records whose data "
                    "set has it (a CSV needs a column of that name)."
                )


def _check_depth_known(store: RecordStore, records: Path) -> None:
    """Raises InputError if the depth of no landmark is known, although it is to be learnt."""
    if not any(np.isfinite(store.record(index).depth).any() for index in range(len(store))):
        raise InputError(
            f"{records}: none of the {len(store)} training faces has a known depth, which "
            "network.depth asks for. Give records of a data set that has it (docs/data.md); those "
            "of an older version have to be built again."
        )


def _more_records(
    records: Path, info: RecordsInfo, folders: Sequence[str]
) -> tuple[list[Path], Adapt]:
    """Training files of additional records, and a function that adapts these to the run's records.

    The function drops faces whose identity is in a held-out split of the run's records. It brings
    attributes into the order of these, and landmarks into their scheme; what the additional records
    do not tell is NaN: an attribute, or the contour where one follows the cheek and the other the
    jaw (`schemes.TRUE_JAW`).

    Raises:
      InputError: the crop differs from that of the run's records, or the scheme cannot be converted
        to theirs.
    """
    sides = identities(records, info)
    held_out = {name for side in sides if side != "train" for name in sides[side]}
    paths: list[Path] = []
    columns: dict[Path, list[int]] = {}
    for folder in map(Path, folders):
        more = load_records_info(folder)
        if more.crop != info.crop:
            raise InputError(
                f"{folder}: its crop ({more.crop}) is not that of the run's records ({info.crop}); "
                "train.more_records must have the same."
            )
        if not can_convert(more.scheme, info.scheme):
            raise InputError(
                f"{folder}: its scheme {more.scheme} cannot be converted to {info.scheme}, that of "
                "the run's records."
            )
        paths += shard_paths(folder, more, "train")
        column_of = {name: column for column, name in enumerate(more.attributes)}
        columns[folder] = [column_of.get(name, -1) for name in info.attributes]

    def adapt(path: Path, record: Record) -> Record | None:
        if record.identity in held_out:
            return None
        record = in_scheme(record, info.scheme)
        if path.parent not in columns:
            return record
        values = np.append(record.attributes, np.float32(np.nan))  # column -1: unknown
        return replace(record, attributes=values[columns[path.parent]])

    return paths, adapt


def prepare(config: Config, records: Path, run: Path, cluster: Cluster | None) -> Prepared:
    """Reads and checks everything that a run needs; the chief makes its folder."""
    info = load_records_info(records)
    preset_crop = config.records.crop
    config = replace(config, records=info.records)
    get_loss(config.loss.name)  # an unknown name is refused before anything is written
    resolved(config.network)
    options = config.train
    restored = checkpoints.readable_checkpoint(run)
    maker = training_maker(config, records, info, run if restored else None, cluster)
    if cluster and not cluster.is_chief:
        return Prepared(config, run, maker, None, None, None)
    held_out_paths = shard_paths(records, info, info.held_out)
    check_splits_apart(records, info)
    held_out = RecordStore(held_out_paths, options.cache_mb, options.max_corrupt)
    start = None
    if info.crop != preset_crop and not restored:
        print(
            f"{records}: their crops are not those of the preset {config.preset}, for which "
            f"`build-records --preset {config.preset}` makes records. The run takes them as they "
            "are.",
            file=sys.stderr,
        )
    if options.start_from and not restored:
        start, report = initial_weights(config.network, maker, options.start_from, options.threads)
        print(report, file=sys.stderr)
    digest = f"{maker.store.digest[:32]}{held_out.digest[:32]}"
    parts = cluster.workers if cluster else 1
    _begin_or_resume(run, config, info, records, restored, digest, parts)
    if maker.shape_model is not None:
        save_shape_model(run / checkpoints.SHAPE_MODEL, maker.shape_model)
    plain = replace(
        maker, augment=NO_AUGMENTATION, batch_size=options.batch_size, seed=options.seed,
        shape_model=None,
    )  # fmt: skip
    held_out_maker = replace(plain, store=held_out, poses=_true_poses(config, held_out))
    validator = Validator(config, held_out_maker, plain)
    return Prepared(config, run, maker, validator, restored, start)


def _begin_or_resume(
    run: Path,
    config: Config,
    info: RecordsInfo,
    records: Path,
    restored: str | None,
    digest: str,
    parts: int,
) -> None:
    """Checks that a resumed run has its old configuration, and writes the run's description."""
    about = environment(digest) | {"workers": parts}
    if restored:
        started, _, _ = checkpoints.load_run(run)
        if not checkpoints.same_recipe(started, config):
            raise InputError(
                f"{run}: was started with another configuration (see its config.json). "
                "Resume it with the same options, or give a new --run folder."
            )
        path = run / "environment.json"
        before = read_json(path) if path.exists() else {}
        # The chief reads the same files only if the number of workers is the same.
        if before.get("workers") == parts and before.get("records_digest") != digest:
            raise InputError(
                f"{records}: these are not the records that {run} was started with (their digests "
                "differ). Give those records, or start a new run in another --run folder; "
                "--train.start-from uses the weights of this one."
            )
    checkpoints.save_run(run, config, info, records)
    write_json(run / "environment.json", about)


def _shape_model(
    options: LossConfig, store: RecordStore, resumed: Path | None
) -> ShapeModel | None:
    """The shape model for ASM copies, or None: of the resumed run, from a file, or fitted now."""
    if not options.asm_weight:
        return None
    # A run that ended before its first checkpoint begins again, and keeps nothing.
    if resumed and (resumed / checkpoints.SHAPE_MODEL).exists():
        return load_shape_model(resumed / checkpoints.SHAPE_MODEL)
    if not options.shape_model:
        return shape_model_of(store, options.asm_share)
    model = load_shape_model(options.shape_model)
    if model.scheme != store.scheme.name:
        raise InputError(
            f"{options.shape_model}: is of {model.scheme}, the records have {store.scheme.name}."
        )
    return model


def _true_poses(config: Config, store: RecordStore) -> np.ndarray | None:
    """The poses to be learnt, or None if no pose is learnt (fitting takes 1 ms a face)."""
    if not learns_pose(config):
        return None
    return true_poses(store, config.loss.pose_truth)
