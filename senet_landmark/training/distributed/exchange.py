"""How the workers of a distributed run agree: the mean of their gradients, and a few signals.

Synchronous data parallelism over a parameter server (Chen et al., "Revisiting Distributed
Synchronous SGD", 2016, algorithms 3 and 4, without backup workers), on TensorFlow's conditional
accumulator. `tf.train.SyncReplicasOptimizer` has one for each variable and a queue of tokens that
any worker may take: a quick worker can put two batches into a step, and one that dies between two
variables leaves half a gradient. Here all gradients of a worker arrive as one vector, and a worker
goes on when the global step does: one batch of each in every step, and no half gradient. Only in
the step in which a worker dies after its push, its replacement may push again, and count for
another.
"""

from collections.abc import Sequence

import tensorflow.compat.v1 as tf

from senet_landmark.training.distributed.cluster import Cluster


class GradientExchange:
    """Adds up the workers' tensors of a step, and hands their mean to the chief.

    Args:
      cluster: whose workers.
      tensors: float32, of known shapes: the gradients, and what else is to be averaged.
      step: the global step.
      also: operations that run with every push, e.g. the updates of batch-norm averages.

    Attributes:
      push: this worker's tensors go to the accumulator.
      waiting: int32 scalar, how many workers' have arrived.
      means: the means of `tensors`, which empties the accumulator; run it when all have arrived.
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
        # One that was made for an earlier step, as by a worker that hung, is not counted.
        with tf.control_dependencies(list(also)):
            self.push = accumulator.apply_grad(vector, local_step=step)
        self.waiting = accumulator.num_accumulated()
        mean = accumulator.take_grad(cluster.workers)
        parts = tf.split(mean, [tensor.shape.num_elements() for tensor in tensors])
        self.means = [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]
        self._forget, self._present = accumulator.take_grad(1), accumulator.set_global_step(step)

    def reset(self, session: tf.Session) -> None:
        """Forgets what has arrived, and takes the global step as the present one."""
        if session.run(self.waiting):
            session.run(self._forget)
        session.run(self._present)


class Signals:
    """Variables by which the chief tells the others how far the run is.

    They are in no checkpoint: each session of the chief sets them anew.

    Attributes:
      progress: share of the run that is done.
      switches: float32 [T], 1, or 0 for a task that is left alone.
      generation: another one each time that the chief begins anew: what was pushed before is lost.
      finished: the run is over.
      left: workers that have seen so, and gone.
      variables: all of these.
      tell: gives `progress` and `switches` the values fed to `next_progress` and `next_switches`.
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
        """Adds `switches`, once it is known how many there are, and what needs them."""
        with tf.device(self._cluster.parameter_device()):
            self.switches = _signal("switches", tf.ones([tasks]))
        self.variables = [
            self.progress, self.switches, self.generation, self.finished, self.left,
        ]  # fmt: skip
        self.initializer = tf.variables_initializer(self.variables)
        self.next_progress = tf.placeholder(tf.float32, [], "next_progress")
        self.next_switches = tf.placeholder(tf.float32, [tasks], "next_switches")
        self.tell = tf.group(
            tf.assign(self.progress, self.next_progress),
            tf.assign(self.switches, self.next_switches),
        )
        return self.switches


def end_signals(cluster: Cluster) -> tuple[tf.Variable, tf.Variable]:
    """`Signals.finished` and `Signals.left` alone, for who only waits for the end."""
    with tf.device(cluster.parameter_device()):
        return _signal("finished", tf.zeros([], tf.bool)), _signal("left", tf.zeros([], tf.int32))


def _signal(name: str, value: tf.Tensor) -> tf.Variable:
    return tf.get_variable(f"signals/{name}", initializer=value, trainable=False)
