"""Checkpoint -> `.pb` with batch norm folded into the convolutions, and its `.json` contract."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.framework.meta_graph import strip_graph_default_valued_attrs
from tensorflow.python.tools.optimize_for_inference_lib import optimize_for_inference

from export.contract import Contract, TensorSpec, contract_path, save_contract
from export.engines import load_engine
from senet_landmark import __version__
from senet_landmark.checkpoints import Weights, assign_weights, load_run, load_state, weights_of
from senet_landmark.config import NO_AUGMENTATION, Config
from senet_landmark.errors import InputError
from senet_landmark.files import sha256, written_whole
from senet_landmark.input_pipeline import BatchMaker, RecordStore
from senet_landmark.model import build_model
from senet_landmark.networks.registry import get_network
from senet_landmark.records import RecordsInfo, load_records_info, shard_paths
from senet_landmark.schemes import get_scheme

TOLERANCE = 1e-4
"""Largest difference between checkpoint and `.pb`, as a share of the crop."""

LICENCE = "Weights follow the terms of their training data; 300W and 300W-LP: research only."

FORBIDDEN = ("FusedBatchNorm", "Dropout", "Random", "Queue", "Iterator", "Variable", "PyFunc")
"""Operations that have no place in a frozen graph, by the beginning or a part of their names."""


@dataclass(frozen=True)
class FreezeResult:
    """What freezing made, and how it was checked.

    Attributes:
      model: path of the `.pb`.
      contract: path of its `.json`.
      checkpoint: path of the weights.
      difference: largest difference to the checkpoint over `faces` crops, as a share of the crop.
      faces: crops that it was checked on.
      megabytes: size of the `.pb`.
    """

    model: str
    contract: str
    checkpoint: str
    difference: float
    faces: int
    megabytes: float


def freeze(
    run: Path | str, out: Path | str, *, records: Path | str | None = None, batch_size: int = 0
) -> FreezeResult:
    """Freezes the best weights of a run, or its latest, into one file.

    Args:
      run: folder of a training run.
      out: the `.pb` to write; the contract goes beside it as `.json`.
      records: records with real crops to check on; by default those the run was trained on.
      batch_size: N of the graph's input; 0: any.

    Returns:
      What was made. The files are written only after the check on real crops.

    Raises:
      InputError: `out` does not end in .pb, the run has no checkpoint, the records are gone, or
        the frozen graph differs from the checkpoint by more than `TOLERANCE`.
    """
    run, out = Path(run), Path(out)
    if batch_size < 0:
        raise InputError(f"The batch size must not be negative, it is {batch_size}.")
    if out.suffix != ".pb":
        raise InputError(f"{out}: the name of a frozen model ends in .pb.")
    config, info, folder = load_run(run)
    weights, step, prefix = weights_of(run)
    crops = sample_crops(Path(records) if records else folder, info, config)
    expected = _landmarks_of(config, info, weights, prefix, crops)
    graph_def = _frozen_graph(config, info, weights, prefix, batch_size)
    contract = _contract(run, config, info, step, batch_size)
    with written_whole(out) as temporary:
        temporary.write_bytes(graph_def.SerializeToString())
        contract = replace(contract, sha256=sha256(temporary))
        engine = load_engine(temporary, contract, "tensorflow")
        found = engine(crops)
        difference = float(np.abs(found - expected).max())
        if not difference <= TOLERANCE:  # also when it is NaN
            raise InputError(
                f"{out}: not written. The frozen graph differs from {prefix} by {difference:.2g} "
                f"of the crop, more than {TOLERANCE:g}."
            )
        contract_path(out).unlink(missing_ok=True)  # never a new model beside an older contract
    save_contract(out, contract)
    return FreezeResult(
        model=str(out),
        contract=str(contract_path(out)),
        checkpoint=prefix,
        difference=difference,
        faces=len(crops),
        megabytes=round(out.stat().st_size / 1e6, 3),
    )


def sample_crops(folder: Path, info: RecordsInfo, config: Config, count: int = 32) -> np.ndarray:
    """Crops of the held-out split, uint8 [N, H, W, 3], as the network is fed them."""
    current = load_records_info(folder)
    if current.scheme != info.scheme:
        raise InputError(f"{folder}: has scheme {current.scheme}, the run was on {info.scheme}.")
    store = RecordStore(shard_paths(folder, current, current.held_out), config.train.cache_mb)
    size = get_network(config.network.name).input_size
    maker = BatchMaker(store, info.crop, size, NO_AUGMENTATION, min(count, len(store)))
    return maker.faces(np.arange(maker.batch_size), np.random.default_rng(0))["image"]


def _landmarks_of(
    config: Config, info: RecordsInfo, weights: Weights, prefix: str, crops: np.ndarray
) -> np.ndarray:
    """The checkpoint's own landmarks on `crops`, float32 [N, K, 2]."""
    with tf.Graph().as_default(), tf.Session() as session:
        model = build_model(config.network, get_scheme(info.scheme).points, is_training=False)
        assign_weights(session, weights, prefix)
        return np.asarray(session.run(model.landmarks, {model.image: crops}))


def _frozen_graph(
    config: Config, info: RecordsInfo, weights: Weights, prefix: str, batch_size: int
) -> tf.GraphDef:
    """The graph with constants for variables and folded batch norm."""
    points = get_scheme(info.scheme).points
    with tf.Graph().as_default() as graph, tf.Session() as session:
        build_model(config.network, points, is_training=False, batch_size=batch_size or None)
        assign_weights(session, weights, prefix)
        constant = tf.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), ["landmarks"]
        )
    folded = optimize_for_inference(constant, ["image"], ["landmarks"], tf.float32.as_datatype_enum)
    left = sorted({node.op for node in folded.node if any(f in node.op for f in FORBIDDEN)})
    if left:
        raise RuntimeError(f"training operations are left in the frozen graph: {left}")
    return _portable(folded)


def _portable(graph_def: tf.GraphDef) -> tf.GraphDef:
    """Without attributes that only say the default, which older programs do not know."""
    meta = tf.MetaGraphDef(graph_def=graph_def)
    meta.meta_info_def.stripped_op_list.CopyFrom(
        tf.train.export_meta_graph(graph_def=graph_def).meta_info_def.stripped_op_list
    )
    strip_graph_default_valued_attrs(meta)
    for node in meta.graph_def.node:
        node.ClearField("device")
        for name in [key for key in node.attr if key.startswith("_")]:
            del node.attr[name]
    meta.graph_def.ClearField("library")
    return meta.graph_def


def _contract(run: Path, config: Config, info: RecordsInfo, step: int, batch_size: int) -> Contract:
    state = load_state(run)
    width, height = get_network(config.network.name).input_size
    count = batch_size or -1
    metrics = {}
    if state.best_nme is not None:
        metrics["validation_nme_inter_ocular"] = round(state.best_nme, 4)
    return Contract(
        sha256="",
        network=config.network.name,
        scheme=info.scheme,
        input=TensorSpec("image:0", (count, height, width, 3)),
        landmarks=TensorSpec("landmarks:0", (count, get_scheme(info.scheme).points, 2)),
        crop=info.crop,
        box_corrections=info.box_corrections,
        training={
            "preset": config.preset,
            "dataset": info.dataset,
            "box_source": info.box_source,
            "step": step,
            "minutes": round(state.minutes, 1),
        },
        metrics=metrics,
        licence=LICENCE,
        project_version=__version__,
    )
