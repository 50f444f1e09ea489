"""Faces for the report of a run: as training sees them, and those that a run does worst on."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

from senet_landmark.config import NO_AUGMENTATION, Config
from senet_landmark.data.input_pipeline import BatchMaker
from senet_landmark.data.record_store import RecordStore
from senet_landmark.data.records import load_records_info, shard_paths
from senet_landmark.errors import InputError
from senet_landmark.evaluation.metrics import nme
from senet_landmark.networks.model import Model
from senet_landmark.networks.weights import Weights, assign_weights
from senet_landmark.runtime import session_config
from senet_landmark.training import checkpoints
from senet_landmark.training.setup import make_batches
from senet_landmark.visualisation.drawing import GREEN, RED, contact_sheet, draw_points
from senet_landmark.visualisation.pages import jpeg_uri

SHOWN = 16
"""Training faces that are shown."""

WORST = 12
"""Worst validation faces that are shown."""

SIDE = 240
"""Side of a face's picture in pixels."""


@dataclass(frozen=True)
class ValidationFace:
    """A validation face for the page.

    Attributes:
      source: of its record.
      value: its inter-ocular NME.
      picture: `src` of an image, with its true and its predicted landmarks.
    """

    source: str
    value: str
    picture: str


def training_faces(config: Config, folder: Path) -> tuple[str, str]:
    """Training faces with their landmarks, changed at random as in training.

    Args:
      config: of the run.
      folder: of its records.

    Returns:
      `src` of an image; or an empty text, and why there is none.
    """
    try:
        # One file is enough to look at: all may take minutes to go through.
        batch = _maker(config, folder, "train", files=1).batch(0)
    except InputError as error:
        return "", str(error)
    pairs = batch["image"], batch["landmarks"]
    pictures = [_drawn(image, truth) for image, truth in zip(*pairs, strict=True)]
    return jpeg_uri(contact_sheet(pictures, cell=SIDE)), ""


def worst_faces(
    config: Config, folder: Path, run: Path, model: Model, most: int
) -> tuple[list[ValidationFace], str, str]:
    """The validation faces with the largest NME, with the weights that the run stands for.

    Args:
      config: of the run.
      folder: of its records.
      run: its own folder.
      model: of the run's network, for evaluation, whatever its weights.
      most: faces that are predicted, evenly chosen from all; 0: none.

    Returns:
      The faces, the worst first; what they were chosen from; or none, and why.
    """
    if not most:
        return [], "", ""
    try:
        weights, step, _ = checkpoints.weights_of(run)
        maker = replace(_maker(config, folder, "held out"), augment=NO_AUGMENTATION)
        count = len(maker.store)
        chosen = np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))
        chosen, errors, predicted = _predicted(model, maker, weights, chosen)
    except InputError as error:
        return [], "", str(error)
    order = np.argsort(-np.nan_to_num(errors, nan=-1), kind="stable")[:WORST]
    faces = []
    for place in order:
        batch = maker.faces(chosen[[place]], np.random.default_rng(0))
        picture = _drawn(batch["image"][0], batch["landmarks"][0], predicted[place])
        source = maker.store.record(int(chosen[place])).source
        faces.append(ValidationFace(source, f"{100 * errors[place]:.2f}%", jpeg_uri(picture)))
    counted = f"{len(chosen):,}" if count <= most else f"{len(chosen):,} of {count:,}"
    return faces, f"{counted} validation faces, with the weights of step {step:,}", ""


def _maker(config: Config, folder: Path, split: str, files: int | None = None) -> BatchMaker:
    """Makes batches of a split, or of its first `files` files."""
    info = load_records_info(folder)
    name = info.held_out if split == "held out" else split
    paths = shard_paths(folder, info, name)[:files]
    store = RecordStore(paths, 0, max_corrupt=config.train.max_corrupt)
    return replace(make_batches(config, info, store), batch_size=SHOWN)


def _predicted(
    model: Model, maker: BatchMaker, weights: Weights, chosen: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(the chosen records whose picture decodes, NME of each, landmarks in units of the crop)."""
    scheme = maker.store.scheme
    truth, predicted = [], []
    graph = model.image.graph
    with graph.as_default(), tf.Session(graph=graph, config=session_config()) as session:
        assign_weights(session, weights, "the run's weights")
        for start in range(0, len(chosen), 64):
            batch = maker.faces(chosen[start : start + 64], np.random.default_rng(0))
            predicted.append(session.run(model.landmarks, {model.image: batch["image"]}))
            truth.append(batch["landmarks"])
    # In the place of a picture that does not decode is another face.
    shown = ~np.isin(chosen, list(maker.store.undecodable))
    every = np.concatenate(predicted)[shown]
    return chosen[shown], nme(every, np.concatenate(truth)[shown], scheme), every


def _drawn(image: np.ndarray, truth: np.ndarray, predicted: np.ndarray | None = None) -> np.ndarray:
    """A face with its landmarks, enlarged so that they hide less of it."""
    enlarged = contact_sheet([image], cell=SIDE)
    size = np.array(image.shape[1::-1])
    scale, left = SIDE / size.max(), (size.max() - size) / 2
    for points, colour in ((truth, GREEN), (predicted, RED)):
        if points is not None:
            known = points[np.isfinite(points).all(axis=1)]
            enlarged = draw_points(enlarged, (known * size + left) * scale - 0.5, colour, 1.5)
    return enlarged
