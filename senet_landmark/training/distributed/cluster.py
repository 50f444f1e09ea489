"""Which process of a distributed run this is, and how it reaches the others: `TF_CONFIG`.

TensorFlow's own convention, as its estimators had it and as Kubernetes operators set it:

TF_CONFIG='{"cluster": {"chief": ["a:2222"], "worker": ["b:2222"], "ps": ["c:2222"]},
            "task": {"type": "worker", "index": 0}}'

Every process runs the same command. Without `chief` the first worker is the chief; without `ps` the
chief holds the parameters, which suffices for networks of a few megabytes.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow.compat.v1 as tf

from senet_landmark.errors import InputError
from senet_landmark.runtime import session_config

JOBS = ("chief", "worker", "ps")

_EXAMPLE = (
    '{"cluster": {"chief": ["HOST:PORT"], "worker": ["HOST:PORT"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


@dataclass(frozen=True)
class Cluster:
    """A distributed run, seen from one of its processes.

    Attributes:
      addresses: job -> `host:port` of its tasks.
      job: of this process: `chief`, `worker` or `ps`.
      index: of this process in its job.
    """

    addresses: dict[str, tuple[str, ...]]
    job: str
    index: int

    @property
    def workers(self) -> int:
        """Processes that train, the chief among them."""
        return len(self.addresses.get("chief", ())) + len(self.addresses.get("worker", ()))

    @property
    def part(self) -> int:
        """Number of this process among those that train; the chief is 0."""
        return self.index + (len(self.addresses.get("chief", ())) if self.job == "worker" else 0)

    @property
    def is_chief(self) -> bool:
        """Whether this process validates, saves and reports."""
        return self.job != "ps" and self.part == 0

    @property
    def parameter_job(self) -> str:
        """The job whose tasks hold the variables."""
        if "ps" in self.addresses:
            return "ps"
        return "chief" if "chief" in self.addresses else "worker"

    @property
    def parameter_tasks(self) -> int:
        """How many tasks hold the variables."""
        return len(self.addresses["ps"]) if "ps" in self.addresses else 1

    @property
    def name(self) -> str:
        """Of this process, for people."""
        return f"{self.job} {self.index}"

    def device(self) -> Callable[[tf.Operation], str]:
        """Variables on the parameters' tasks, the rest here; for `tf.device`."""
        return tf.train.replica_device_setter(
            ps_tasks=self.parameter_tasks,
            ps_device=f"/job:{self.parameter_job}",
            worker_device=f"/job:{self.job}/task:{self.index}",
        )

    def parameter_device(self) -> str:
        """The task that adds the gradients up."""
        return f"/job:{self.parameter_job}/task:0"

    def session_config(self, threads: int, replicas: int = 1) -> tf.ConfigProto:
        """A session that sees itself and the parameters alone.

        Were it to see the other workers, it would end when one of them does.
        """
        config = session_config(threads, replicas)
        config.device_filters.extend(
            [f"/job:{self.parameter_job}/task:{n}" for n in range(self.parameter_tasks)]
            + [f"/job:{self.job}/task:{self.index}"]
        )
        return config

    def start_server(self, threads: int, replicas: int = 1) -> tf.train.Server:
        """Opens this process's port. Raises InputError where it is taken."""
        address = self.addresses[self.job][self.index]
        jobs = {job: list(addresses) for job, addresses in self.addresses.items()}
        try:
            config = session_config(threads, replicas)
            return tf.train.Server(tf.train.ClusterSpec(jobs), self.job, self.index, config=config)
        except tf.errors.OpError as error:
            raise InputError(
                f"TF_CONFIG: {self.name} cannot listen at {address}; is another process there? "
                f"({error.message.splitlines()[0]})"
            ) from error

    def wait_for_parameters(self, stopped: list[int]) -> bool:
        """Waits until the parameters' tasks listen; false where `stopped` is filled meanwhile."""
        told = 0.0
        for address in self.addresses[self.parameter_job][: self.parameter_tasks]:
            host, _, port = address.rpartition(":")
            began = time.monotonic()
            while not stopped:
                try:
                    socket.create_connection((host, int(port)), timeout=5).close()
                    break
                except OSError:
                    if time.monotonic() - max(began, told) > 15:
                        told = time.monotonic()
                        print(f"{self.name}: waiting for {address}", file=sys.stderr, flush=True)
                    time.sleep(0.5)
        return not stopped


def cluster_from_environment(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """The cluster that TF_CONFIG describes; None without it, or where one process is all there is.

    Raises:
      InputError: it is not JSON, or does not describe a cluster and one of its tasks.
    """
    text = environment.get("TF_CONFIG", "").strip()
    if not text:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InputError(
            f"TF_CONFIG is not valid JSON ({error}). It looks like {_EXAMPLE}"
        ) from error
    cluster = value.get("cluster") if isinstance(value, dict) else None
    if not cluster:
        return None  # as TensorFlow takes it: a task description alone is one process
    addresses, task = _addresses(cluster), value.get("task")
    job = task.get("type") if isinstance(task, dict) else None
    index = task.get("index") if isinstance(task, dict) else None
    if job not in addresses or not isinstance(index, int) or isinstance(index, bool):
        raise _wrong(f"its task {task!r} is none of the cluster's ({', '.join(addresses)})")
    if not 0 <= index < len(addresses[job]):
        raise _wrong(f"job {job!r} has {len(addresses[job])} tasks, none of index {index}")
    described = Cluster(addresses, job, index)
    if described.workers < 1:
        raise _wrong("its cluster has neither chief nor worker")
    return described if described.workers > 1 or "ps" in addresses else None


def is_lost_connection(error: BaseException) -> bool:
    """Whether it says that another process of a distributed run is gone."""
    return isinstance(error, tf.errors.AbortedError | tf.errors.UnavailableError)


def is_restart(error: BaseException) -> bool:
    """What a session sees of parameters that have been started anew and know nothing yet."""
    return isinstance(error, tf.errors.FailedPreconditionError | tf.errors.NotFoundError)


def _addresses(cluster: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(cluster, dict):
        raise _wrong(f"its cluster is {cluster!r}")
    for job, addresses in cluster.items():
        if job not in JOBS:
            raise _wrong(f"unknown job {job!r}; known: {', '.join(JOBS)}")
        if not isinstance(addresses, list) or not all(_is_address(a) for a in addresses):
            raise _wrong(f"job {job!r} needs a list of HOST:PORT, not {addresses!r}")
    if len(cluster.get("chief", [])) > 1:
        raise _wrong("its cluster has more than one chief")
    return {job: tuple(addresses) for job, addresses in cluster.items() if addresses}


def _is_address(value: Any) -> bool:
    host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    return bool(host and colon) and port.isdigit() and 0 < int(port) < 65536


def _wrong(problem: str) -> InputError:
    return InputError(f"TF_CONFIG: {problem}. It looks like {_EXAMPLE}")
