"""Validation during training: an evaluation graph that is built once a run, and its figures."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.config import Config
from senet_landmark.data.input_pipeline import Batch, BatchMaker, in_order
from senet_landmark.evaluation.metrics import mean_known
from senet_landmark.evaluation.output_metrics import attribute_accuracy, depth_errors, pose_mae
from senet_landmark.evaluation.squared_errors import squared_error
from senet_landmark.evaluation.statistics import headline_figures
from senet_landmark.face.attributes import predicted_classes
from senet_landmark.losses import learns_pose, loss_terms
from senet_landmark.networks.model import build_model
from senet_landmark.networks.weights import Weights, assign_weights
from senet_landmark.runtime import session_config
from senet_landmark.training import checkpoints
from senet_landmark.training.pictures import predictions_picture

TRAINING = "training_"
"""Prefix of the figures of training faces."""


@dataclass(frozen=True)
class Validation:
    """The results of one validation.

    Attributes:
      figures: `nme_inter_ocular` and the others of `statistics.headline_figures`, among them
        `mse_photo_pixels`, the mean squared error of a coordinate in pixels of the photo;
        `mse_pixels`, the same in pixels of the network's input; `pose_mae_yaw`, `_pitch`, `_roll`,
        in degrees, if the network predicts a pose; `depth_mae`, in percent of the face box, if it
        predicts the depth; `accuracy_NAME`, in percent, for each predicted
        attribute; `loss`, the weighted sum of the terms of the loss, without that of ASM copies and
        without regularisation. Where training faces are measured too, the same of these with the
        prefix `training_`.
      task_errors: weighted terms of the loss for the auxiliary tasks, on the validation faces.
      picture: the first faces with their predictions, RGB uint8 [H, W, 3].
    """

    figures: dict[str, float]
    task_errors: dict[str, float]
    picture: np.ndarray


class Validator:
    """The evaluation graph with its session, and the crops.

    Args:
      config: configuration of the run.
      maker: makes the validation crops.
      training: makes the crops of `train.measure_training` training faces; not augmented.
    """

    def __init__(self, config: Config, maker: BatchMaker, training: BatchMaker | None = None):
        self._maker, self._network = maker, config.network
        self._batches = {"": in_order(maker)}
        if training is not None and config.train.measure_training:
            chosen = in_order(training, config.train.measure_training)
            if chosen:  # the picture of one of them decodes
                self._batches[TRAINING] = chosen
        scheme = maker.store.scheme
        # PFLD's loss needs the pose of a branch that the network has in training only.
        network = replace(config.network, pose=learns_pose(config))
        with tf.Graph().as_default() as self._graph:
            self._model = build_model(network, scheme.points, is_training=False)
            self._outputs = {
                name: output
                for name, output in self._model.outputs.items()
                if name != "pose" or config.network.pose
            }
            self._truth = {
                key: tf.placeholder(tf.as_dtype(values.dtype), [None, *values.shape[1:]])
                for key, values in self._batches[""][0].items()
                if key != "image"
            }
            self._terms = loss_terms(
                replace(config, loss=replace(config.loss, asm_weight=0.0)),
                self._model.end_points, self._truth, maker.size, maker.attributes,
            )  # fmt: skip
            self._saver = tf.train.Saver(slim.get_model_variables(), max_to_keep=1)
            train = config.train
            self._session = tf.Session(config=session_config(train.threads, train.replicas))
        # As many batches in parallel as training has replicas, so that all cores are busy.
        self._parallel_batches = train.replicas

    def validate(self, weights: Weights) -> Validation:
        """Measures the model with these weights on the validation split."""
        with self._graph.as_default():
            assign_weights(self._session, weights, "the training graph")
        figures: dict[str, float] = {}
        for prefix, batches in self._batches.items():
            with ThreadPoolExecutor(self._parallel_batches) as threads:
                results = list(threads.map(self._run, batches))
            terms = self._mean_terms(batches, [terms for _, terms in results])
            measured = self._figures(batches, [outputs for outputs, _ in results], not prefix)
            measured["loss"] = sum(terms.values())
            figures |= {f"{prefix}{name}": value for name, value in measured.items()}
            if not prefix:
                del terms["landmarks"]
                task_errors, predicted = terms, results[0][0]["landmarks"]
        return Validation(
            figures=figures,
            task_errors=task_errors,
            picture=predictions_picture(self._batches[""][0], predicted),
        )

    def save(self, folder: Path, step: int) -> None:
        """Saves the weights of the last validation."""
        checkpoints.save_checkpoint(self._saver, self._session, folder, step)

    def _run(self, batch: Batch) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        feed = {self._model.image: batch["image"]}
        feed |= {placeholder: batch[key] for key, placeholder in self._truth.items()}
        outputs, terms = self._session.run([self._outputs, self._terms], feed)
        return outputs, terms

    def _mean_terms(
        self, batches: Sequence[Batch], terms: Sequence[dict[str, float]]
    ) -> dict[str, float]:
        """The terms of the loss, means over the batches by their numbers of faces."""
        sizes = [float(len(batch["image"])) for batch in batches]
        return {
            task: float(np.average([values[task] for values in terms], weights=sizes))
            for task in self._terms
        }

    def _figures(
        self, batches: Sequence[Batch], outputs: Sequence[dict[str, np.ndarray]], strict: bool
    ) -> dict[str, float]:
        """The figures but for the loss; `strict` as in `statistics.headline_figures`."""
        predicted = {
            name: np.concatenate([values[name] for values in outputs]) for name in self._outputs
        }
        truth = {
            key: np.concatenate([batch[key] for batch in batches])
            for key in ("landmarks", "depth", "pose", "attributes", "crop_size")
        }
        scheme = self._maker.store.scheme
        points, true_points = predicted["landmarks"], truth["landmarks"]
        # In pixels of the photo, as `evaluate` does: a crop may not be square.
        size = truth["crop_size"][:, None].astype(np.float64)
        figures = headline_figures(points * size, true_points * size, scheme, strict=strict)
        known = np.isfinite(true_points).all(axis=-1)
        faces, size = known.any(axis=1), np.array(self._maker.size, np.float64)
        squares = squared_error(
            points[faces] * size, true_points[faces] * size, scheme, known[faces]
        )
        figures["mse_pixels"] = float(mean_known(squares, axis=0))
        if "depth" in predicted:
            errors = depth_errors(predicted["depth"], truth["depth"])
            figures["depth_mae"] = 100 * float(mean_known(errors, axis=0))
        if "pose" in predicted:
            angles = pose_mae(predicted["pose"], truth["pose"])
            figures |= {f"pose_mae_{name}": angles[name] for name in ("yaw", "pitch", "roll")}
        if "attributes" in predicted:
            names = self._network.attributes
            classes = predicted_classes(predicted["attributes"], names)
            columns = [self._maker.attributes.index(name) for name in names]
            accuracies = attribute_accuracy(classes, truth["attributes"][:, columns], names)
            figures |= {f"accuracy_{name}": 100 * share for name, share in accuracies.items()}
        return {name: value for name, value in figures.items() if not np.isnan(value)}
