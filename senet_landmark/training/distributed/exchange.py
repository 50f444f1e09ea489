"""Data that the processes of a distributed run exchange: the mean gradient, and a few signals.

Synchronous data parallelism over a parameter server (Chen et al., "Revisiting Distributed
Synchronous SGD", 2016, algorithms 3 and 4, without backup workers), on TensorFlow's conditional
accumulator. `tf.train.SyncReplicasOptimizer` has one accumulator for each variable and a queue of
tokens that any worker may take. There a fast worker can put two batches into a step, and a worker
that dies between two variables leaves half a gradient. Here all gradients of a worker arrive as one
vector, and a worker continues when the global step changes. So each step has one batch of each
worker, and no half gradient. One exception remains: if a worker dies after its push, its
replacement may push again in the same step, and then counts in place of another worker.
"""

from collections.abc import Sequence

import tensorflow.compat.v1 as tf

from senet_landmark.training.distributed.cluster import Cluster


class GradientExchange:
    """Adds up the workers' tensors of a step, and gives their mean to the chief.

    Args:
      cluster: the processes of the run.
      tensors: float32, of known shapes: the gradients, and other tensors to be averaged.
      step: the global step.
      also: operations that run with every push, e.g. the updates of batch-norm averages.

    Attributes:
      push: operation that sends this worker's tensors to the accumulator.
      arrived: int32 scalar, number of workers whose tensors have arrived.
      means: the means of `tensors`. Fetching them empties the accumulator, so fetch them when all
        have arrived.
    """

    def __init__(
        self,
        cluster: Cluster,
        tensors: Sequence[tf.Tensor],
        step: tf.Variable,
        also: Sequence[tf.Operation],
    ):
        shapes = [tensor.shape.as_list() for tensor in tensors]
        vector = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], 0)
        with tf.device(cluster.parameter_device()):
            accumulator = tf.ConditionalAccumulator(
                tf.float32, shape=vector.shape, shared_name="gradients"
            )
        # The accumulator drops a vector made for an earlier step, e.g. by a worker that hung.
        with tf.control_dependencies(list(also)):
            self.push = accumulator.apply_grad(vector, local_step=step)
        self.arrived = accumulator.num_accumulated()
        mean = accumulator.take_grad(cluster.workers)
        parts = tf.split(mean, [tensor.shape.num_elements() for tensor in tensors])
        self.means = [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]
        self._drop, self._set_step = accumulator.take_grad(1), accumulator.set_global_step(step)

    def reset(self, session: tf.Session) -> None:
        """Drops the tensors that have arrived, and sets the accumulator to the global step."""
        if session.run(self.arrived):
            session.run(self._drop)
        session.run(self._set_step)


class Signals:
    """Variables through which the chief informs the other processes about the run.

    No checkpoint holds them: each session of the chief sets them again.

    Attributes:
      progress: float32 scalar, share of the run that is done, 0 to 1.
      switches: float32 [T], 1 for a task that is trained, 0 for one that has been stopped.
      generation: int64 scalar that changes each time the chief starts a session; tensors pushed
        before are lost.
      finished: bool scalar, whether the run is over.
      left: int32 scalar, number of workers that have seen `finished` and ended.
      variables: all of the above.
      send: operation that sets `progress` and `switches` to the values fed to `next_progress` and
        `next_switches`.
    """

    def __init__(self, cluster: Cluster):
        self._cluster = cluster
        with tf.device(cluster.parameter_device()):
            self.progress = _signal("progress", tf.zeros([]))
            self.generation = _signal("generation", tf.zeros([], tf.int64))
            now = tf.cast(tf.timestamp() * 1e6, tf.int64)
        self.finished, self.left = end_signals(cluster)
        self.next_generation = tf.assign(self.generation, now)
        self.finish = tf.assign(self.finished, True)
        self.leave = tf.assign_add(self.left, 1, use_locking=True)

    def add_switches(self, tasks: int) -> tf.Variable:
        """Adds `switches` for this number of tasks, and the operations that need them."""
        with tf.device(self._cluster.parameter_device()):
            self.switches = _signal("switches", tf.ones([tasks]))
        self.variables = [
            self.progress, self.switches, self.generation, self.finished, self.left,
        ]  # fmt: skip
        self.initializer = tf.variables_initializer(self.variables)
        self.next_progress = tf.placeholder(tf.float32, [], "next_progress")
        self.next_switches = tf.placeholder(tf.float32, [tasks], "next_switches")
        self.send = tf.group(
            tf.assign(self.progress, self.next_progress),
            tf.assign(self.switches, self.next_switches),
        )
        return self.switches


def end_signals(cluster: Cluster) -> tuple[tf.Variable, tf.Variable]:
    """`Signals.finished` and `Signals.left`, for a process that only waits for the end."""
    with tf.device(cluster.parameter_device()):
        return _signal("finished", tf.zeros([], tf.bool)), _signal("left", tf.zeros([], tf.int32))


def _signal(name: str, value: tf.Tensor) -> tf.Variable:
    return tf.get_variable(f"signals/{name}", initializer=value, trainable=False)
