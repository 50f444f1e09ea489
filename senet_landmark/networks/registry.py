"""Name -> network. A new network is one file here and one line in `NETWORKS`.

The file of a network is imported when the network is first built, so that the names of the networks
are available without TensorFlow.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from senet_landmark.config import NetworkConfig
from senet_landmark.errors import InputError


@dataclass(frozen=True)
class NetworkSpec:
    """A network in the registry.

    Attributes:
      function: (images, *, is_training, num_points, config) -> (landmarks, end points).
      arg_scope: (is_training, weight_decay) -> the arg scope that the network is built in.
      input_size: (width, height) of its input in pixels.
      channels: channels of the images that the function gets: 3 for colour, 1 for grey.
      input_range: what the function gets for a pixel of 0 and of 255.
      heads: the heads that it can have, the default first.
      options: the fields of `NetworkConfig` that it uses besides name, head, weight decay, pose,
        depth and attributes.
    """

    function: Callable[..., Any]
    arg_scope: Callable[..., dict[str, Any]]
    input_size: tuple[int, int] = (128, 128)
    channels: int = 3
    input_range: tuple[float, float] = (-1.0, 1.0)
    heads: tuple[str, ...] = ("fc",)
    options: tuple[str, ...] = ()


def _lazy(path: str) -> Callable[..., Any]:
    """The function `module.name` of this package; the module is imported at the first call."""
    module, _, name = path.partition(".")

    def call(*arguments: Any, **options: Any) -> Any:
        function = getattr(importlib.import_module(f"senet_landmark.networks.{module}"), name)
        return function(*arguments, **options)

    return call


NETWORKS = {
    "senet": NetworkSpec(
        _lazy("senet.senet"),
        _lazy("senet.senet_arg_scope"),
        heads=("soft_argmax", "fc"),
        options=("dropout_keep", "width"),
    ),
    "senet_original": NetworkSpec(
        _lazy("senet_original.senet_original"),
        _lazy("senet_original.senet_original_arg_scope"),
        input_range=(0.0, 255.0),
        options=("dropout_keep", "last_relu"),
    ),
    "tcdcn": NetworkSpec(
        _lazy("tcdcn.tcdcn"),
        _lazy("tcdcn.tcdcn_arg_scope"),
        input_size=(160, 160),
        options=("batch_norm",),
    ),
    "cnn": NetworkSpec(
        _lazy("cnn.cnn"),
        _lazy("cnn.cnn_arg_scope"),
        input_size=(224, 224),
        channels=1,
        input_range=(0.0, 1.0),
        options=("batch_norm", "dropout_keep"),
    ),
    "pfld": NetworkSpec(
        _lazy("pfld.pfld"),
        _lazy("pfld.pfld_arg_scope"),
        input_size=(112, 112),
        options=("width", "flatten_scales"),
    ),
    "asmnet": NetworkSpec(
        _lazy("asmnet.asmnet"),
        _lazy("asmnet.asmnet_arg_scope"),
        input_size=(224, 224),
        options=("dropout_keep",),
    ),
}

_OPTIONS = ("width", "batch_norm", "dropout_keep", "last_relu", "flatten_scales")


def get_network(name: str) -> NetworkSpec:
    """The network called `name`. Raises InputError that lists the known ones."""
    if name not in NETWORKS:
        raise InputError(f"Unknown network {name!r}. Known: {', '.join(sorted(NETWORKS))}.")
    return NETWORKS[name]


def resolved(config: NetworkConfig) -> NetworkConfig:
    """The configuration with the head `default` replaced by the network's default head.

    Raises:
      InputError: an unknown network, a head that it cannot have, or an option that was set but that
        it does not use.
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
