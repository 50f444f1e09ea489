"""Networks, runs and records that fine-tuning starts from."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from made_records import changed_records, open_store
from runs import random_weights, total_loss
from senet_landmark.config import NO_AUGMENTATION, AugmentConfig, Config, NetworkConfig, TrainConfig
from senet_landmark.data.input_pipeline import BatchMaker, in_order
from senet_landmark.data.records import load_records_info
from senet_landmark.face import geometry
from senet_landmark.io.images import decode_photo
from senet_landmark.networks.model import build_model
from senet_landmark.networks.registry import get_network
from senet_landmark.networks.weights import assign_weights
from senet_landmark.training import checkpoints
from senet_landmark.training.fine_tuning import assign_start
from senet_landmark.training.moving_average import current_weights
from senet_landmark.training.optimisation import gradients_of, update_operation

MAPS = NetworkConfig(width=0.125)


FULL = NetworkConfig(width=0.125, head="fc")


PFLD = NetworkConfig(name="pfld", width=0.125)


TCDCN = NetworkConfig(name="tcdcn")


NORMALISED = NetworkConfig(name="tcdcn", batch_norm=True)


def maker_of(records: Path, network: NetworkConfig) -> BatchMaker:
    """What training makes batches with."""
    info = load_records_info(records)
    size = get_network(network.name).input_size
    return BatchMaker(open_store(records), info.crop, size, AugmentConfig(), 4)


def faces_of(records: Path, network: NetworkConfig):
    """Images and landmarks of the training faces as they are."""
    batches = in_order(dataclasses.replace(maker_of(records, network), augment=NO_AUGMENTATION))
    return [np.concatenate([batch[key] for batch in batches]) for key in ("image", "landmarks")]


@functools.cache
def built(network: NetworkConfig, points: int):
    """(graph, model) for inference, without the heads of further tasks."""
    network = dataclasses.replace(network, pose=False, attributes=())
    with tf.Graph().as_default() as graph:
        return graph, build_model(network, points, is_training=False)


def predict(network: NetworkConfig, points: int, weights, images: np.ndarray):
    """Landmarks, and logits of the maps if there are such, of a model with these weights."""
    graph, model = built(network, points)
    fetches = {k: v for k, v in model.end_points.items() if k in ("landmarks", "map_logits")}
    with graph.as_default(), tf.Session() as session:
        assign_weights(session, weights, "the start")
        return session.run(fetches, {model.image: images})


def begin(network, maker, weights, ema_decay=0.9, save=None):
    """What a training graph holds of the model before its first step, started from `weights`.

    With `save`, the prefix of a checkpoint, it takes two steps and saves; what it holds then.
    """
    config = Config(network=network, train=TrainConfig(ema_decay=ema_decay))
    batch = maker.batch(0)
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.train.get_or_create_global_step()
        given = {key: tf.constant(value) for key, value in batch.items()}
        points = maker.store.scheme.points
        model = build_model(network, points, is_training=True, image=given["image"])
        loss = total_loss(config, model.end_points, given, maker.size, maker.attributes)
        gradients = gradients_of(loss)
        update, average = update_operation(*gradients, tf.constant(1e-3), step, config.train)
        saver = tf.train.Saver()
        session.run(tf.global_variables_initializer())
        tf.get_default_graph().finalize()  # a start adds nothing to the graph
        assign_start(session, weights, average)
        if save is None:
            shown = session.run({v.op.name: v for v in slim.get_model_variables()})
            averages = current_weights(session, average)
            for name, value in shown.items():
                np.testing.assert_array_equal(value, averages[name])
            return shown
        for _ in range(2):
            session.run(update)
        checkpoints.save_checkpoint(saver, session, save, 2)
        return current_weights(session, average)


def save_run(run, network, records, options=TrainConfig()):
    config = Config(network=network, train=options)
    checkpoints.save_run(run, config, load_records_info(records), records)
    with tf.Graph().as_default(), tf.Session() as session:
        build_model(network, 68, is_training=False)
        variables = slim.get_model_variables()
        assign_weights(session, random_weights(variables), "random weights")
        checkpoints.save_checkpoint(tf.train.Saver(variables), session, run / "best", 7)


def records_with(records, out, scheme, landmarks):
    """The records with other landmarks [N, L, 2], normalised by the crop, of the training faces."""
    crop = load_records_info(records).crop

    def change(split, number, record):
        size = tuple(int(side) for side in record_size(record))
        to_pixels = geometry.to_pixels(size)
        box = geometry.apply(to_pixels, record.box.astype(np.float64).reshape(2, 2)).ravel()
        transform = geometry.to_crop(geometry.crop_box(box, crop, size))
        to_record = geometry.compose(geometry.invert(to_pixels), geometry.invert(transform))
        points = landmarks[number if split == "train" else 0]
        return dataclasses.replace(
            record,
            scheme=scheme,
            landmarks=geometry.apply(to_record, points).astype(np.float32),
            visible=np.ones(len(points), bool),
        )

    return changed_records(records, out, change, scheme=scheme)


def record_size(record):
    """(width, height) of the recorded crop."""
    return decode_photo(record.image, record.source).shape[1::-1]
