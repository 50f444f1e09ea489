"""Checkpoint -> `.pb` with batch norm folded into the convolutions, and its `.json` contract."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.framework.meta_graph import strip_graph_default_valued_attrs
from tensorflow.python.tools.optimize_for_inference_lib import optimize_for_inference

from senet_landmark import __version__
from senet_landmark.config import Config, NetworkConfig
from senet_landmark.data.records import RecordsInfo, load_records_info
from senet_landmark.data_tools.datasets.registry import DATASETS, photos_of
from senet_landmark.errors import InputError
from senet_landmark.export.engines.interface import Engine
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.freezing.old_tensorflow import younger_parts
from senet_landmark.export.freezing.parity import differences
from senet_landmark.export.freezing.recorded_faces import RecordedFaces, recorded_faces
from senet_landmark.export.inference.confidence import (
    fit_confidence,
    fit_expected_errors,
    separation,
    with_spread,
)
from senet_landmark.face.attributes import get_attribute
from senet_landmark.face.schemes import get_scheme
from senet_landmark.frozen.contract import (
    Contract,
    TensorSpec,
    contract_path,
    load_contract,
    save_contract,
)
from senet_landmark.frozen.models import frozen_start
from senet_landmark.io.files import sha256, written_whole
from senet_landmark.networks.model import build_model
from senet_landmark.networks.registry import get_network, resolved
from senet_landmark.networks.weights import Weights, assign_weights
from senet_landmark.training.checkpoints import load_run, load_state, weights_of

FORBIDDEN = ("FusedBatchNorm", "Dropout", "Random", "Queue", "Iterator", "Variable", "PyFunc")
"""Operations that have no place in a frozen graph, by the beginning or a part of their names."""


CHECKED, FITTED = 32, 300
"""Held-out faces that outputs are compared on, and that the confidence is fitted to, at most."""


@dataclass(frozen=True)
class FreezeResult:
    """What freezing made, and how it was checked.

    Attributes:
      model: path of the `.pb`.
      contract: path of its `.json`.
      checkpoint: path of the weights.
      differences: output -> largest difference to the checkpoint over `faces` crops, in the unit of
        `parity.TOLERANCES`.
      faces: crops that it was checked on.
      megabytes: size of the `.pb`.
    """

    model: str
    contract: str
    checkpoint: str
    differences: dict[str, float]
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
        an output of the frozen graph differs from the checkpoint's by more than its tolerance
        (`parity.TOLERANCES`).
    """
    run, out = Path(run), Path(out)
    if batch_size < 0:
        raise InputError(f"The batch size must not be negative, it is {batch_size}.")
    if out.suffix != ".pb":
        raise InputError(f"{out}: the name of a frozen model ends in .pb.")
    config, info, folder = load_run(run)
    weights, step, prefix = weights_of(run)
    size = get_network(config.network.name).input_size
    held_out = recorded_faces(Path(records) if records else folder, info.scheme, info.crop, size)
    crops = held_out.crops(CHECKED)
    points = get_scheme(info.scheme).points
    expected = _outputs_of(config.network, points, weights, prefix, crops)
    graph_def = frozen_graph(config.network, points, weights, prefix, batch_size)
    contract = _contract(run, config, info, step, batch_size)
    with written_whole(out) as temporary:
        temporary.write_bytes(graph_def.SerializeToString())
        contract = replace(contract, sha256=sha256(temporary))
        engine = load_engine(temporary, contract, "tensorflow")
        problem = f"{out}: not written. The frozen graph differs from {prefix}"
        largest = differences(engine(crops), expected, problem)
        contract = with_confidence(contract, engine, held_out)
        contract_path(out).unlink(missing_ok=True)  # never a new model beside an older contract
    save_contract(out, contract)
    return FreezeResult(
        model=str(out),
        contract=str(contract_path(out)),
        checkpoint=prefix,
        differences=largest,
        faces=len(crops),
        megabytes=round(out.stat().st_size / 1e6, 3),
    )


def with_confidence(contract: Contract, engine: Engine, faces: RecordedFaces) -> Contract:
    """The contract with how sure its model is of points and faces, fitted to `faces`."""
    scheme = contract.landmark_scheme
    found, spread = with_spread(engine, faces.crops(FITTED), scheme)
    _, beside = with_spread(engine, faces.crops_beside(FITTED), scheme)
    errors = np.linalg.norm(found["landmarks"] - faces.landmarks(FITTED), axis=2)
    return replace(
        contract,
        confidence=fit_confidence(spread, beside),
        expected_error=fit_expected_errors(spread, errors),
        metrics={**contract.metrics, "face_auc": round(100 * separation(spread, beside), 2)},
    )


def _outputs_of(
    network: NetworkConfig, points: int, weights: Weights, where: str, crops: np.ndarray
) -> dict[str, np.ndarray]:
    """The checkpoint's own outputs on `crops`."""
    with tf.Graph().as_default(), tf.Session() as session:
        model = build_model(network, points, is_training=False)
        assign_weights(session, weights, where)
        found: dict[str, np.ndarray] = session.run(model.outputs, {model.image: crops})
        return found


def frozen_graph(
    network: NetworkConfig, points: int, weights: Weights, where: str, batch_size: int = 0
) -> tf.GraphDef:
    """The graph with constants for variables and folded batch norm.

    Args:
      network: which network.
      points: landmarks of its scheme.
      weights: of its variables.
      where: what they are from, for messages.
      batch_size: N of the graph's input; 0: any.

    Raises:
      InputError: the weights are another network's.
      RuntimeError: the network has an operation that training alone needs, or that TensorFlow 1.15
        does not know: a mistake in its code.
    """
    with tf.Graph().as_default() as graph, tf.Session() as session:
        model = build_model(network, points, is_training=False, batch_size=batch_size or None)
        names = list(model.outputs)
        assign_weights(session, weights, where)
        constant = tf.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), names
        )
    folded = optimize_for_inference(constant, ["image"], names, tf.float32.as_datatype_enum)
    left = sorted({node.op for node in folded.node if any(f in node.op for f in FORBIDDEN)})
    if left:
        raise RuntimeError(f"training operations are left in the frozen graph: {left}")
    portable = _portable(_named(folded, names))
    if younger := younger_parts(portable):
        raise RuntimeError(f"the frozen graph has what TensorFlow 1.15 does not know: {younger}")
    return portable


def _named(graph_def: tf.GraphDef, outputs: list[str]) -> tf.GraphDef:
    """The operation behind each output's closing identity has the output's name itself.

    OpenCV 5 drops those identities, and several outputs are told apart by their names alone.
    """
    names = {
        node.input[0]: node.name
        for node in graph_def.node
        if node.op == "Identity" and node.name in outputs
    }
    found = tf.GraphDef(versions=graph_def.versions)
    for node in graph_def.node:
        if node.name not in names.values():
            own = found.node.add()
            own.CopyFrom(node)
            own.name = names.get(node.name, node.name)
            own.input[:] = [names.get(name, name) for name in node.input]
    return found


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
    metrics = {}
    nme = state.figures.get("nme_inter_ocular", state.best_nme)
    if nme is not None:
        metrics["validation_nme_inter_ocular"] = round(nme, 4)
    datasets = _datasets(config, info)
    return Contract(
        sha256="",
        network=config.network.name,
        scheme=info.scheme,
        **tensors(config.network, get_scheme(info.scheme).points, batch_size),
        crop=info.crop,
        box_corrections=info.box_corrections,
        training={
            "preset": config.preset,
            "dataset": ", ".join(datasets),
            "box_source": info.box_source,
            "step": step,
            "minutes": round(state.minutes, 1),
        },
        metrics=metrics,
        licence=_licence(datasets),
        project_version=__version__,
    )


def _datasets(config: Config, info: RecordsInfo) -> list[str]:
    """The data sets that weights saw, those of what they started from too.

    Of further records, or a run, that are gone, the folder's name.
    """
    found = _datasets_of_records(config, info)
    start, seen = config.train.start_from, set[str]()
    while start and start not in seen:  # a folder may have been made anew from what began with it
        seen.add(start)
        try:
            if model := frozen_start(start):
                told = load_contract(model).training.get("dataset", Path(start).stem)
                found += str(told).split(", ")
                break
            config, info, _ = load_run(start)
        except InputError:
            found.append(Path(start).name)
            break
        found += _datasets_of_records(config, info)
        start = config.train.start_from
    return list(dict.fromkeys(found))


def _datasets_of_records(config: Config, info: RecordsInfo) -> list[str]:
    found = [info.dataset]
    for folder in map(Path, config.train.more_records):
        try:
            found.append(load_records_info(folder).dataset)
        except InputError:
            found.append(folder.name)
    return found


def _licence(datasets: list[str]) -> str:
    """The terms of weights that were trained on these data sets."""
    whole = f"Weights follow the terms of their training data ({', '.join(datasets)})"
    photos = dict.fromkeys(map(photos_of, datasets))
    research = [name for name in photos if name in DATASETS and DATASETS[name].research_only]
    return f"{whole}; for research only: {', '.join(research)}." if research else f"{whole}."


def tensors(network: NetworkConfig, points: int, batch_size: int = 0) -> dict[str, Any]:
    """The fields of a `Contract` about the graph's boundary. Args as `frozen_graph`."""
    width, height = get_network(network.name).input_size
    count = batch_size or -1
    fields: dict[str, Any] = {
        "input": TensorSpec("image:0", (count, height, width, 3)),
        "landmarks": TensorSpec("landmarks:0", (count, points, 2)),
    }
    if resolved(network).head == "soft_argmax":
        fields["variance"] = TensorSpec("variance:0", (count, points))
    if network.pose:
        fields["pose"] = TensorSpec("pose:0", (count, 3))
    if network.attributes:
        classes = sum(len(get_attribute(name).classes) for name in network.attributes)
        fields["attributes"] = TensorSpec("attributes:0", (count, classes))
        fields["attribute_names"] = network.attributes
    return fields
