"""Validation during training: an evaluation graph that is built once a run, and its figures."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from senet_landmark.config import Config
from senet_landmark.data.input_pipeline import Batch, BatchMaker, in_order
from senet_landmark.evaluation.metrics import attribute_accuracy, pose_mae
from senet_landmark.evaluation.statistics import headline_figures
from senet_landmark.face.attributes import predicted_classes
from senet_landmark.losses import task_terms
from senet_landmark.networks.model import build_model
from senet_landmark.networks.weights import Weights, assign_weights
from senet_landmark.runtime import session_config
from senet_landmark.training import checkpoints
from senet_landmark.training.summaries import predictions_summary


@dataclass(frozen=True)
class Validation:
    """The results of one validation.

    Attributes:
      figures: `nme_inter_ocular` and the others of `statistics.headline_figures`, in percent;
        `mse_pixels`, the mean squared error of a coordinate in pixels of the network's input;
        `pose_mae_yaw`, `_pitch`, `_roll`, in degrees, if the network predicts a pose;
        `accuracy_NAME`, in percent, for each predicted attribute.
      task_errors: weighted terms of the loss for the auxiliary tasks.
      picture: picture of the first faces with their predictions, for TensorBoard.
    """

    figures: dict[str, float]
    task_errors: dict[str, float]
    picture: tf.Summary


class Validator:
    """The evaluation graph with its session, and the validation crops."""

    def __init__(self, config: Config, maker: BatchMaker):
        self._maker, self._network = maker, config.network
        self._batches = in_order(maker)
        scheme = maker.store.scheme
        with tf.Graph().as_default() as self._graph:
            self._model = build_model(config.network, scheme.points, is_training=False)
            self._truth = {
                "pose": tf.placeholder(tf.float32, [None, 3]),
                "attributes": tf.placeholder(tf.float32, [None, len(maker.attributes)]),
            }
            self._terms = task_terms(config, self._model.end_points, self._truth, maker.attributes)
            self._saver = tf.train.Saver(slim.get_model_variables(), max_to_keep=1)
            train = config.train
            self._session = tf.Session(config=session_config(train.threads, train.replicas))
        # As many batches in parallel as training has replicas, so that all cores are busy.
        self._parallel_batches = train.replicas

    def validate(self, weights: Weights) -> Validation:
        """Measures the model with these weights on the validation split."""
        with self._graph.as_default():
            assign_weights(self._session, weights, "the training graph")
        with ThreadPoolExecutor(self._parallel_batches) as threads:
            results = list(threads.map(self._run, self._batches))
        predicted = {
            name: np.concatenate([outputs[name] for outputs, _ in results])
            for name in self._model.outputs
        }
        truth = {
            key: np.concatenate([batch[key] for batch in self._batches])
            for key in ("landmarks", "pose", "attributes")
        }
        sizes = np.array([len(batch["image"]) for batch in self._batches], np.float64)
        return Validation(
            figures=self._figures(predicted, truth),
            task_errors={
                task: float(np.average([terms[task] for _, terms in results], weights=sizes))
                for task in self._terms
            },
            picture=predictions_summary(
                "validation/predictions", self._batches[0], results[0][0]["landmarks"]
            ),
        )

    def save(self, folder: Path, step: int) -> None:
        """Saves the weights of the last validation."""
        checkpoints.save_checkpoint(self._saver, self._session, folder, step)

    def _run(self, batch: Batch) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        feed = {self._model.image: batch["image"]}
        feed |= {placeholder: batch[key] for key, placeholder in self._truth.items()}
        outputs, terms = self._session.run([self._model.outputs, self._terms], feed)
        return outputs, terms

    def _figures(
        self, predicted: dict[str, np.ndarray], truth: dict[str, np.ndarray]
    ) -> dict[str, float]:
        # In units of the crop. `evaluate` measures in pixels of the photo, which differs if a
        # crop is not square.
        landmarks = truth["landmarks"]
        figures = headline_figures(predicted["landmarks"], landmarks, self._maker.store.scheme)
        offsets = (predicted["landmarks"] - landmarks) * self._maker.size
        figures["mse_pixels"] = float(np.nanmean(np.square(offsets)))
        if "pose" in predicted:
            angles = pose_mae(predicted["pose"], truth["pose"])
            figures |= {f"pose_mae_{name}": angles[name] for name in ("yaw", "pitch", "roll")}
        if "attributes" in predicted:
            names = self._network.attributes
            classes = predicted_classes(predicted["attributes"], names)
            columns = [self._maker.attributes.index(name) for name in names]
            accuracies = attribute_accuracy(classes, truth["attributes"][:, columns], names)
            figures |= {f"accuracy_{name}": 100 * share for name, share in accuracies.items()}
        return figures
