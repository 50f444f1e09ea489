"""What a run may start from (`train.start_from`): another run, a checkpoint or a frozen model."""

from dataclasses import dataclass
from pathlib import Path

from senet_landmark.config import Config, NetworkConfig
from senet_landmark.data.records import RecordsInfo
from senet_landmark.errors import InputError
from senet_landmark.frozen.models import frozen_start, shipped_models
from senet_landmark.frozen.thaw import thaw
from senet_landmark.networks.registry import resolved
from senet_landmark.networks.weights import Weights
from senet_landmark.training import checkpoints


@dataclass(frozen=True)
class Start:
    """The weights that a run starts from.

    Attributes:
      description: description of the run or model, for messages.
      scheme: name of its landmark scheme.
      weights: weights by variable name.
      step: step at which the weights were saved; 0 for a frozen model.
      checkpoint: path of the checkpoint or of the `.pb`.
      frozen: whether it is a `.pb`, whose batch norm is folded and must be estimated again.
    """

    description: str
    scheme: str
    weights: Weights
    step: int
    checkpoint: str
    frozen: bool = False


def network_description(network: NetworkConfig) -> str:
    """Name, head and width of a network, for messages."""
    network = resolved(network)
    batch_norm = ", batch_norm" if network.batch_norm else ""
    return f"{network.name} (head {network.head}, width {network.width:g}{batch_norm})"


def read_start(start: Path | str, network: NetworkConfig) -> Start:
    """Reads the weights that a run starts from.

    Args:
      start: as in `fine_tuning.initial_weights`.
      network: network of the new run.

    Raises:
      InputError: the start does not exist, cannot be read, or is a frozen model of a network with
        another name.
    """
    path = Path(start)
    if model := frozen_start(start):
        weights, scheme = thaw(model, network)
        description = f"a frozen model of {network.name}"
        return Start(description, scheme, weights, 0, str(model), frozen=True)
    if Path(f"{path}.index").is_file():
        config, info = _run_of(path)
        prefix = str(path)
        weights, step = checkpoints.read_weights(prefix), checkpoints.step_of(prefix)
    elif not path.exists():
        raise InputError(
            f"{start}: does not exist. Give the folder of a run, the .pb of a model, or the name "
            f"of one that ships ({', '.join(shipped_models())})."
        )
    else:
        config, info, _ = checkpoints.load_run(path)
        weights, step, prefix = checkpoints.weights_of(path)
    return Start(
        f"a run of {network_description(config.network)}", info.scheme, weights, step, prefix
    )


def _run_of(prefix: Path) -> tuple[Config, RecordsInfo]:
    """Configuration and records of a checkpoint's run. Raises InputError if it has no run."""
    for run in (prefix.parent, prefix.parent.parent):
        if (run / "config.json").is_file():
            return checkpoints.load_run(run)[:2]
    raise InputError(f"{prefix}: has no config.json of its run beside it; give the run's folder.")
