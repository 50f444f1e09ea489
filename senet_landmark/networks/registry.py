"""Name -> network. A new network is one file here and one line in `NETWORKS`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from senet_landmark.errors import InputError
from senet_landmark.networks import senet


@dataclass(frozen=True)
class NetworkSpec:
    """A network and what it takes.

    Attributes:
      function: (images, *, is_training, num_points, head, dropout_keep) -> (landmarks, end points).
      arg_scope: (is_training, weight_decay) -> scope to build it in.
      input_size: (width, height) of its input in pixels.
      channels: channels of its input.
      heads: the heads that it can carry.
    """

    function: Callable[..., Any]
    arg_scope: Callable[..., dict[str, Any]]
    input_size: tuple[int, int] = (128, 128)
    channels: int = 3
    heads: tuple[str, ...] = ("soft_argmax", "fc")


NETWORKS = {
    "senet": NetworkSpec(senet.senet, senet.senet_arg_scope),
    "senet_original": NetworkSpec(senet.senet_original, senet.senet_arg_scope, heads=("fc",)),
}


def get_network(name: str) -> NetworkSpec:
    """The network called `name`. Raises InputError that lists the known ones."""
    if name not in NETWORKS:
        raise InputError(f"Unknown network {name!r}. Known: {', '.join(sorted(NETWORKS))}.")
    return NETWORKS[name]
