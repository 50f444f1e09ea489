"""Faces for the report of a run: augmented training faces, and the worst validation faces."""

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
from senet_landmark.visualisation.drawing import (
    PREDICTION,
    TRUTH,
    contact_sheet,
    fit_into,
    mark_points,
)
from senet_landmark.visualisation.pages import jpeg_uri

SHOWN = 16
"""Number of training faces that are shown."""

WORST = 12
"""Number of validation faces that are shown: those with the largest NME."""

SIDE, CELL = 240, 160
"""Side in pixels of a face's own picture, and of a face on the sheet."""


@dataclass(frozen=True)
class ValidationFace:
    """A validation face for the page.

    Attributes:
      source: `source` of its record.
      value: its inter-ocular NME, as text.
      picture: `src` of an image that shows its true and its predicted landmarks.
    """

    source: str
    value: str
    picture: str


def training_faces(config: Config, folder: Path) -> tuple[str, str]:
    """Training faces with their landmarks, augmented as in training.

    Args:
      config: configuration of the run.
      folder: folder of its records.

    Returns:
      `src` of an image, and an empty text; or an empty text, and the reason why there is no image.
    """
    try:
        # One file is enough for a picture; reading all files may take minutes.
        batch = _maker(config, folder, "train", files=1).batch(0)
    except InputError as error:
        return "", str(error)
    pairs = batch["image"], batch["landmarks"]
    pictures = [_drawn(CELL, image, truth) for image, truth in zip(*pairs, strict=True)]
    return jpeg_uri(contact_sheet(pictures, cell=CELL)), ""


def worst_faces(
    config: Config, folder: Path, run: Path, model: Model, most: int
) -> tuple[list[ValidationFace], str, str]:
    """The validation faces with the largest NME, predicted with the run's best weights.

    Args:
      config: configuration of the run.
      folder: folder of its records.
      run: folder of the run.
      model: evaluation model of the run's network; its weights are replaced.
      most: number of faces that are predicted, chosen evenly from all; 0: none.

    Returns:
      (faces, the worst first; text that says what they were chosen from; reason why there are
      none). Either the faces and the text are empty, or the reason is.
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
    order = order[~np.isnan(errors[order])]  # without eye corners a face has no NME
    faces = []
    for index in order:
        batch = maker.faces(chosen[[index]], np.random.default_rng(0))
        picture = _drawn(SIDE, batch["image"][0], batch["landmarks"][0], predicted[index])
        source = maker.store.record(int(chosen[index])).source
        faces.append(ValidationFace(source, f"{100 * errors[index]:.2f}%", jpeg_uri(picture)))
    count_text = f"{len(chosen):,}" if count <= most else f"{len(chosen):,} of {count:,}"
    return faces, f"{count_text} validation faces, with the weights of step {step:,}", ""


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
    """(chosen records whose picture decodes, NME of each, landmarks in units of the crop)."""
    scheme = maker.store.scheme
    truth, predicted, sizes = [], [], []
    graph = model.image.graph
    with graph.as_default(), tf.Session(graph=graph, config=session_config()) as session:
        assign_weights(session, weights, "the run's weights")
        for start in range(0, len(chosen), 64):
            batch = maker.faces(chosen[start : start + 64], np.random.default_rng(0))
            predicted.append(session.run(model.landmarks, {model.image: batch["image"]}))
            truth.append(batch["landmarks"])
            sizes.append(batch["crop_size"][:, None])
    # The maker puts another face in place of a picture that does not decode.
    decoded = ~np.isin(chosen, list(maker.store.undecodable))
    landmarks, truths = np.concatenate(predicted)[decoded], np.concatenate(truth)[decoded]
    known = np.isfinite(truths).all(axis=-1)
    errors = np.full(len(known), np.nan)
    some = known.any(axis=1)
    scale = np.concatenate(sizes)[decoded][some]  # in pixels of the photo: a crop may not be square
    errors[some] = nme(
        landmarks[some] * scale, truths[some] * scale, scheme, points=known[some], strict=False
    )
    return chosen[decoded], errors, landmarks


def _drawn(
    side: int, image: np.ndarray, truth: np.ndarray, predicted: np.ndarray | None = None
) -> np.ndarray:
    """A face with its landmarks, enlarged so that the landmarks hide less of it."""
    size = np.array(image.shape[1::-1])
    given = [points * size - 0.5 for points in (truth, predicted) if points is not None]
    picture, *marks = fit_into(image, side, *given)
    for points, colour in zip(marks, (TRUTH, PREDICTION), strict=False):
        picture = mark_points(picture, points, colour, radius=1.2 * side / CELL)
    return picture
