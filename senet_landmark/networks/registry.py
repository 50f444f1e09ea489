"""Name -> network. A new network is one file here and one line in `NETWORKS`.

A network's file is imported when the network is first built; the names need no TensorFlow.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from senet_landmark.config import NetworkConfig
from senet_landmark.errors import InputError


@dataclass(frozen=True)
class NetworkSpec:
    """A network and what it takes.

    Attributes:
      function: (images, *, is_training, num_points, config) -> (landmarks, end points).
      arg_scope: (is_training, weight_decay) -> scope to build it in.
      input_size: (width, height) of its input in pixels.
      channels: channels of the images that the function gets: 3 in colour, 1 in grey.
      heads: the heads that it can carry, its own first.
      options: the fields of `NetworkConfig` that it heeds beside name, head, weight decay, pose and
        attributes.
    """

    function: Callable[..., Any]
    arg_scope: Callable[..., dict[str, Any]]
    input_size: tuple[int, int] = (128, 128)
    channels: int = 3
    heads: tuple[str, ...] = ("fc",)
    options: tuple[str, ...] = ()


def _later(place: str) -> Callable[..., Any]:
    """A function of this package by its `file.name`, whose file is imported when it is called."""
    module, _, name = place.partition(".")

    def call(*arguments: Any, **options: Any) -> Any:
        function = getattr(importlib.import_module(f"senet_landmark.networks.{module}"), name)
        return function(*arguments, **options)

    return call


NETWORKS = {
    "senet": NetworkSpec(
        _later("senet.senet"),
        _later("senet.senet_arg_scope"),
        heads=("soft_argmax", "fc"),
        options=("dropout_keep", "width"),
    ),
    "senet_original": NetworkSpec(
        _later("senet.senet_original"), _later("senet.senet_arg_scope"), options=("dropout_keep",)
    ),
    "tcdcn": NetworkSpec(
        _later("tcdcn.tcdcn"),
        _later("tcdcn.tcdcn_arg_scope"),
        input_size=(160, 160),
        options=("batch_norm",),
    ),
    "cnn": NetworkSpec(
        _later("cnn.cnn"),
        _later("cnn.cnn_arg_scope"),
        input_size=(224, 224),
        channels=1,
        options=("batch_norm", "dropout_keep"),
    ),
    "pfld": NetworkSpec(
        _later("pfld.pfld"),
        _later("pfld.pfld_arg_scope"),
        input_size=(112, 112),
        options=("width",),
    ),
    "asmnet": NetworkSpec(
        _later("asmnet.asmnet"),
        _later("asmnet.asmnet_arg_scope"),
        input_size=(224, 224),
        options=("dropout_keep",),
    ),
}

_OPTIONS = ("width", "batch_norm", "dropout_keep")


def get_network(name: str) -> NetworkSpec:
    """The network called `name`. Raises InputError that lists the known ones."""
    if name not in NETWORKS:
        raise InputError(f"Unknown network {name!r}. Known: {', '.join(sorted(NETWORKS))}.")
    return NETWORKS[name]


def resolved(config: NetworkConfig) -> NetworkConfig:
    """The configuration with the network's own head for `default`.

    Raises:
      InputError: an unknown network, one that cannot carry the head, or an option that was set and
        that the network does not heed.
    """
    spec = get_network(config.name)
    head: Any = spec.heads[0] if config.head == "default" else config.head
    if head not in spec.heads:
        raise InputError(
            f"Network {config.name!r} has no {head!r} head; it has: {', '.join(spec.heads)}."
        )
    for option in _OPTIONS:
        changed = getattr(config, option) != getattr(NetworkConfig(), option)
        if changed and option not in spec.options:
            raise InputError(f"Network {config.name!r} has no use for network.{option}.")
    return replace(config, head=head)
