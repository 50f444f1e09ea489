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
from senet_landmark.export.engines.registry import load_engine
from senet_landmark.export.freezing.calibration import (
    annotated_faces,
    with_confidence,
    with_expected_error,
)
from senet_landmark.export.freezing.old_tensorflow import newer_parts
from senet_landmark.export.freezing.parity import differences
from senet_landmark.export.freezing.recorded_faces import recorded_faces
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
"""Parts of names of operations that a frozen graph must not have."""

CHECKED = 32
"""Largest number of held-out faces for the parity check."""


@dataclass(frozen=True)
class FreezeResult:
    """The frozen model, and the result of its parity check.

    Attributes:
      model: path of the `.pb`.
      contract: path of its `.json`.
      checkpoint: path of the checkpoint with the weights.
      differences: output -> largest difference from the checkpoint over `faces` crops, in the unit
        of `parity.TOLERANCES`.
      faces: number of crops in the parity check.
      megabytes: size of the `.pb` (10^6 bytes).
      fitted: number of held-out faces that its expected error is fitted to; 0: there were none but
        pseudo-labelled ones, so it knows no expected error.
    """

    model: str
    contract: str
    checkpoint: str
    differences: dict[str, float]
    faces: int
    megabytes: float
    fitted: int


def freeze(
    run: Path | str, out: Path | str, *, records: Path | str | None = None, batch_size: int = 0
) -> FreezeResult:
    """Freezes the best weights of a run, or its latest weights, into one file.

    Args:
      run: folder of a training run.
      out: the `.pb` to write; the contract goes beside it as `.json`.
      records: records with real crops for the parity check and for the curves of the confidence
        and of the expected error; by default those of the run, and for the expected error its
        further records as well. Pseudo-labels are not used for the expected error.
      batch_size: N of the graph's input; 0: any number.

    Returns:
      The frozen model. The files are written only after the parity check on real crops.

    Raises:
      InputError: `out` does not end in .pb, the run has no checkpoint, the records are absent, or
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
        folders = [Path(records)] if records else [folder, *map(Path, config.train.more_records)]
        annotated = annotated_faces(folders, contract)
        contract, fitted = with_expected_error(contract, engine, annotated)
        contract_path(out).unlink(missing_ok=True)  # never a new model beside an older contract
    save_contract(out, contract)
    return FreezeResult(
        model=str(out),
        contract=str(contract_path(out)),
        checkpoint=prefix,
        differences=largest,
        faces=len(crops),
        megabytes=round(out.stat().st_size / 1e6, 3),
        fitted=fitted,
    )


def _outputs_of(
    network: NetworkConfig, points: int, weights: Weights, where: str, crops: np.ndarray
) -> dict[str, np.ndarray]:
    """The outputs of the checkpoint on `crops`."""
    with tf.Graph().as_default(), tf.Session() as session:
        model = build_model(network, points, is_training=False)
        assign_weights(session, weights, where)
        outputs: dict[str, np.ndarray] = session.run(model.outputs, {model.image: crops})
        return outputs


def frozen_graph(
    network: NetworkConfig, points: int, weights: Weights, where: str, batch_size: int = 0
) -> tf.GraphDef:
    """The graph with constants in place of variables, and with folded batch norm.

    Args:
      network: the network.
      points: number of landmarks.
      weights: values of its variables.
      where: where the weights come from, for messages.
      batch_size: N of the graph's input; 0: any number.

    Raises:
      InputError: the weights belong to another network.
      RuntimeError: the graph has an operation that only training needs, or that TensorFlow 1.15
        does not know: a mistake in the network's code.
    """
    with tf.Graph().as_default(), tf.Session() as session:
        model = build_model(network, points, is_training=False, batch_size=batch_size or None)
        names = list(model.outputs)
        assign_weights(session, weights, where)
        return portable_graph(session, names)


def portable_graph(session: tf.Session, outputs: list[str]) -> tf.GraphDef:
    """The session's graph from `image` to the operations `outputs`, as it is frozen.

    Raises:
      RuntimeError: as `frozen_graph`.
    """
    constant = tf.graph_util.convert_variables_to_constants(
        session, session.graph.as_graph_def(), outputs
    )
    folded = optimize_for_inference(constant, ["image"], outputs, tf.float32.as_datatype_enum)
    left = sorted({node.op for node in folded.node if any(f in node.op for f in FORBIDDEN)})
    if left:
        raise RuntimeError(f"training operations are left in the frozen graph: {left}")
    portable = _portable(_named(folded, outputs))
    if newer := newer_parts(portable):
        raise RuntimeError(
            f"the frozen graph has parts that TensorFlow 1.15 does not know: {newer}"
        )
    return portable


def _named(graph_def: tf.GraphDef, outputs: list[str]) -> tf.GraphDef:
    """Removes the closing identity of each output and gives its name to the operation before it.

    OpenCV 5 drops such identities, and then does not know the outputs by their names.
    """
    names = {
        node.input[0]: node.name
        for node in graph_def.node
        if node.op == "Identity" and node.name in outputs
    }
    renamed = tf.GraphDef(versions=graph_def.versions)
    for node in graph_def.node:
        if node.name not in names.values():
            copy = renamed.node.add()
            copy.CopyFrom(node)
            copy.name = names.get(node.name, node.name)
            copy.input[:] = [names.get(name, name) for name in node.input]
    return renamed


def _portable(graph_def: tf.GraphDef) -> tf.GraphDef:
    """The graph without attributes that hold their default: older programs may not know them."""
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
    """The contract of a run's weights at `step`, without digest and confidence."""
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
    """The data sets that the weights, and the weights they started from, were trained on.

    If a folder of more records or of a run is gone, its name stands in for its data sets.
    """
    datasets = _datasets_of_records(config, info)
    start, seen = config.train.start_from, set[str]()
    while start and start not in seen:  # runs may start from each other: a folder is reused
        seen.add(start)
        try:
            if model := frozen_start(start):
                trained_on = load_contract(model).training.get("dataset", Path(start).stem)
                datasets += str(trained_on).split(", ")
                break
            config, info, _ = load_run(start)
        except InputError:
            datasets.append(Path(start).name)
            break
        datasets += _datasets_of_records(config, info)
        start = config.train.start_from
    return list(dict.fromkeys(datasets))


def _datasets_of_records(config: Config, info: RecordsInfo) -> list[str]:
    datasets = [info.dataset]
    for folder in map(Path, config.train.more_records):
        try:
            datasets.append(load_records_info(folder).dataset)
        except InputError:
            datasets.append(folder.name)
    return datasets


def _licence(datasets: list[str]) -> str:
    """The licence of weights that were trained on these data sets."""
    terms = f"Weights follow the terms of their training data ({', '.join(datasets)})"
    photos = dict.fromkeys(map(photos_of, datasets))
    research = [name for name in photos if name in DATASETS and DATASETS[name].research_only]
    return f"{terms}; for research only: {', '.join(research)}." if research else f"{terms}."


def tensors(network: NetworkConfig, points: int, batch_size: int = 0) -> dict[str, Any]:
    """The fields of a `Contract` that describe the graph's inputs and outputs.

    Args as in `frozen_graph`.
    """
    width, height = get_network(network.name).input_size
    count = batch_size or -1
    fields: dict[str, Any] = {
        "input": TensorSpec("image:0", (count, height, width, 3)),
        "landmarks": TensorSpec("landmarks:0", (count, points, 2)),
    }
    if resolved(network).head == "soft_argmax":
        fields["variance"] = TensorSpec("variance:0", (count, points))
    if network.depth:
        fields["depth"] = TensorSpec("depth:0", (count, points))
    if network.pose:
        fields["pose"] = TensorSpec("pose:0", (count, 3))
    if network.attributes:
        classes = sum(len(get_attribute(name).classes) for name in network.attributes)
        fields["attributes"] = TensorSpec("attributes:0", (count, classes))
        fields["attribute_names"] = network.attributes
    return fields
