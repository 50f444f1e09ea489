"""Which process of a distributed run this is, and how it reaches the others: `TF_CONFIG`.

This is TensorFlow's own convention. Its estimators read it, and Kubernetes operators set it:

TF_CONFIG='{"cluster": {"chief": ["a:2222"], "worker": ["b:2222"], "ps": ["c:2222"]},
            "task": {"type": "worker", "index": 0}}'

Every process runs the same command. Without `chief` the first worker is the chief. Without `ps`
(parameter servers) the chief holds the parameters, which suffices for networks of a few megabytes.
TF_CONFIG calls a process's role its `type`, and TensorFlow's device names call it `job`.
"""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow.compat.v1 as tf

from senet_landmark.errors import InputError
from senet_landmark.runtime import session_config

ROLES = ("chief", "worker", "ps")

_EXAMPLE = (
    '{"cluster": {"chief": ["HOST:PORT"], "worker": ["HOST:PORT"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


@dataclass(frozen=True)
class Cluster:
    """A distributed run, seen from one of its processes.

    Attributes:
      addresses: role -> `host:port` of each process with that role.
      role: role of this process: `chief`, `worker` or `ps`.
      index: number of this process among those of its role, from 0.
    """

    addresses: dict[str, tuple[str, ...]]
    role: str
    index: int

    @property
    def workers(self) -> int:
        """Number of processes that train, including the chief."""
        return len(self.addresses.get("chief", ())) + len(self.addresses.get("worker", ()))

    @property
    def part(self) -> int:
        """Number of this process among those that train; the chief is 0."""
        return self.index + (len(self.addresses.get("chief", ())) if self.role == "worker" else 0)

    @property
    def is_chief(self) -> bool:
        """Whether this process validates, saves and reports."""
        return self.role != "ps" and self.part == 0

    @property
    def parameter_role(self) -> str:
        """The role whose processes hold the variables."""
        if "ps" in self.addresses:
            return "ps"
        return "chief" if "chief" in self.addresses else "worker"

    @property
    def parameter_tasks(self) -> int:
        """How many processes hold the variables."""
        return len(self.addresses["ps"]) if "ps" in self.addresses else 1

    @property
    def name(self) -> str:
        """Name of this process, for messages."""
        return f"{self.role} {self.index}"

    def device(self) -> Callable[[tf.Operation], str]:
        """Device function for `tf.device`: variables on the parameter servers, the rest here."""
        return tf.train.replica_device_setter(
            ps_tasks=self.parameter_tasks,
            ps_device=f"/job:{self.parameter_role}",
            worker_device=f"/job:{self.role}/task:{self.index}",
        )

    def parameter_device(self) -> str:
        """Device of the process that adds up the gradients."""
        return f"/job:{self.parameter_role}/task:0"

    def session_config(self, threads: int, replicas: int = 1) -> tf.ConfigProto:
        """Configuration of a session that sees only this process and the parameter servers.

        A session that sees the other workers ends when one of them ends.
        """
        config = session_config(threads, replicas)
        config.device_filters.extend(
            [f"/job:{self.parameter_role}/task:{n}" for n in range(self.parameter_tasks)]
            + [f"/job:{self.role}/task:{self.index}"]
        )
        return config

    def start_server(self, threads: int, replicas: int = 1) -> tf.train.Server:
        """Opens this process's port. Raises InputError if the port is in use."""
        address = self.addresses[self.role][self.index]
        roles = {role: list(addresses) for role, addresses in self.addresses.items()}
        try:
            config = session_config(threads, replicas)
            return tf.train.Server(
                tf.train.ClusterSpec(roles), self.role, self.index, config=config
            )
        except tf.errors.OpError as error:
            raise InputError(
                f"TF_CONFIG: {self.name} cannot listen at {address}; is another process there? "
                f"({error.message.splitlines()[0]})"
            ) from error

    def wait_for_parameters(
        self, stopped: threading.Event, is_over: Callable[[], bool] = lambda: False
    ) -> bool:
        """Waits until the parameter servers listen.

        Returns:
          False if `stopped` is set meanwhile, or `is_over` says that nobody will listen.
        """
        last_message = 0.0
        for address in self.addresses[self.parameter_role][: self.parameter_tasks]:
            host, _, port = address.rpartition(":")
            began = time.monotonic()
            while not stopped.is_set():
                try:
                    socket.create_connection((host, int(port)), timeout=5).close()
                    break
                except OSError:
                    if is_over():
                        return False
                    if time.monotonic() - max(began, last_message) > 15:
                        last_message = time.monotonic()
                        print(f"{self.name}: waiting for {address}", file=sys.stderr, flush=True)
                    time.sleep(0.5)
        return not stopped.is_set()


def cluster_from_environment(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """The cluster that TF_CONFIG describes; None without it, or if it holds a single process.

    Raises:
      InputError: TF_CONFIG is not JSON, or does not describe a cluster and one of its tasks.
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
        return None  # as in TensorFlow, a task without a cluster is a single process
    addresses, task = _addresses(cluster), value.get("task")
    role = task.get("type") if isinstance(task, dict) else None
    index = task.get("index") if isinstance(task, dict) else None
    if role not in addresses or not isinstance(index, int) or isinstance(index, bool):
        raise _wrong(f"its task {task!r} is none of the cluster's ({', '.join(addresses)})")
    if not 0 <= index < len(addresses[role]):
        raise _wrong(f"job {role!r} has {len(addresses[role])} tasks, none of index {index}")
    described = Cluster(addresses, role, index)
    if described.workers < 1:
        raise _wrong("its cluster has neither chief nor worker")
    return described if described.workers > 1 or "ps" in addresses else None


def is_lost_connection(error: BaseException) -> bool:
    """Whether an error means that another process of a distributed run is gone."""
    return isinstance(error, tf.errors.AbortedError | tf.errors.UnavailableError)


def is_restart(error: BaseException) -> bool:
    """Whether an error means that a parameter server was restarted and has no values yet."""
    return isinstance(error, tf.errors.FailedPreconditionError | tf.errors.NotFoundError)


def _addresses(cluster: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(cluster, dict):
        raise _wrong(f"its cluster is {cluster!r}")
    for role, addresses in cluster.items():
        if role not in ROLES:
            raise _wrong(f"unknown job {role!r}; known: {', '.join(ROLES)}")
        if not isinstance(addresses, list) or not all(_is_address(a) for a in addresses):
            raise _wrong(f"job {role!r} needs a list of HOST:PORT, not {addresses!r}")
    if len(cluster.get("chief", [])) > 1:
        raise _wrong("its cluster has more than one chief")
    return {role: tuple(addresses) for role, addresses in cluster.items() if addresses}


def _is_address(value: Any) -> bool:
    host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    return bool(host and colon) and port.isdigit() and 0 < int(port) < 65536


def _wrong(problem: str) -> InputError:
    return InputError(f"TF_CONFIG: {problem}. It looks like {_EXAMPLE}")
