"""Faces a second of a training step in PyTorch, for comparison in `benchmarks/speed/train_step.py`.

Needs an environment with PyTorch, NumPy and OpenCV, but not TensorFlow.

python benchmarks/speed/pytorch_step.py --preset senet --batch 64 --steps 8 --format channels_last

A step is the forward pass, loss, backward pass, Adam, and the preset's gradient clipping and weight
averages, all as in `losses.py` and `optimisation.py`, on one constant batch. (The code that makes
batches imports TensorFlow; its cost does not depend on the framework that trains.) The settings are
the fastest ones of PyTorch: fused Adam, in-place activations, clipping and averages over all
tensors at once, no denormals, all cores, and the environment variables `BEST`: freed memory is
kept, and waiting threads sleep, because busy waiting is expensive if other programs run.
`--environment default` leaves these variables unset; choose `--format` and `--compile` yourself.
One difference remains: weight decay is applied after the clipping here, and before it in
TensorFlow.
"""

import argparse
import math
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the project may not be installed

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import get_ema_multi_avg_fn

from pytorch_networks import build, parameters
from senet_landmark.config import Config
from senet_landmark.presets import get_preset

SIZE = 128
BEST = {
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_MMAP_THRESHOLD_": str(2**33),
    "OMP_WAIT_POLICY": "passive",
}
"""Environment variables with which glibc returns no memory to the system (mallopt(3)), and waiting
threads leave the cores to others."""


def wing(predicted: Tensor, truth: Tensor, w: float = 10.0, eps: float = 2.0) -> Tensor:
    """As `losses.wing`."""
    distance = (predicted - truth).abs() * SIZE
    offset = w - w * math.log(1 + w / eps)
    inner = w * torch.log(1 + distance / eps)
    return torch.where(distance < w, inner, distance - offset).mean()


def heatmap_regularizer(logits: Tensor, grid: Tensor, truth: Tensor) -> Tensor:
    """As `losses.heatmap_regularizer`."""
    cell = (grid[1] - grid[0]).max()
    offsets = (truth[:, :, None] - grid) / cell
    target = torch.softmax(-offsets.square().sum(-1) / 2, -1)
    return functional.cross_entropy(logits.flatten(0, 1), target.flatten(0, 1))


def loss_of(config: Config, network: nn.Module, image: Tensor, truth: Tensor) -> Tensor:
    """The preset's landmark loss."""
    landmarks, logits = network(image)
    if config.loss.name == "l2":
        return functional.mse_loss(landmarks, truth)
    loss = wing(landmarks, truth)
    if config.loss.heatmap_weight and logits is not None:
        grid = network.get_buffer("head.grid")
        loss = loss + config.loss.heatmap_weight * heatmap_regularizer(logits, grid, truth)
    return loss


class Step:
    """A training step; call it for one more."""

    def __init__(self, config: Config, batch: int, memory: str, compiled: bool):
        layout = {"channels_last": torch.channels_last}.get(memory, torch.contiguous_format)
        generator = np.random.default_rng(0)
        image = generator.integers(0, 256, (batch, SIZE, SIZE, 3), dtype=np.uint8)
        truth = generator.uniform(0, 1, (batch, 68, 2)).astype(np.float32)
        self._image = torch.from_numpy(image).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        self._truth = torch.from_numpy(truth)
        self._config = config
        self.network = build(config.network.name).to(memory_format=layout).train()
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim == 1]
        groups = [
            {"params": decayed, "weight_decay": config.network.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        self._adam = torch.optim.Adam(groups, lr=1e-3, fused=True)
        self._shown = [
            *self.network.parameters(),
            *(b for name, b in self.network.named_buffers() if "running" in name),
        ]
        self._averages = [value.detach().clone() for value in self._shown]
        self._average = get_ema_multi_avg_fn(config.train.ema_decay)
        self._loss = torch.compile(loss_of) if compiled else loss_of

    def __call__(self) -> float:
        self._adam.zero_grad(set_to_none=True)
        loss = self._loss(self._config, self.network, self._image, self._truth)
        loss.backward()
        options = self._config.train
        if options.gradient_clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), options.gradient_clip, foreach=True)
        self._adam.step()
        if options.ema_decay:
            with torch.no_grad():
                self._average(self._averages, self._shown, 1)
        return loss.item()


def measure(preset: str, batch: int, steps: int, memory: str, compiled: bool) -> float:
    """Faces a second, by the median of the steps behind two of warm-up."""
    torch.manual_seed(0)
    torch.set_num_threads(os.cpu_count() or 2)
    torch.set_flush_denormal(True)
    step = Step(get_preset(preset), batch, memory, compiled)
    times = []
    for _ in range(steps + 2):
        began = time.perf_counter()
        loss = step()
        times.append(time.perf_counter() - began)
    if not math.isfinite(loss):
        sys.exit(f"{preset}: the loss became {loss}.")
    print(f"{preset}: {parameters(step.network):,} parameters, loss {loss:.4g}", file=sys.stderr)
    return batch / statistics.median(times[2:])


def main() -> None:
    """Prints faces a second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=("senet", "senet_original"), default="senet")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--format", choices=("contiguous", "channels_last"), default="contiguous")
    parser.add_argument(
        "--compile", action="store_true", help="torch.compile; needs a C++ compiler"
    )
    parser.add_argument("--environment", choices=("best", "default"), default="best")
    options = parser.parse_args()
    if options.environment == "best" and not BEST.keys() <= os.environ.keys():
        # Read once, as the process starts.
        os.execve(sys.executable, [sys.executable, *sys.argv], BEST | os.environ)
    print(measure(options.preset, options.batch, options.steps, options.format, options.compile))


if __name__ == "__main__":
    main()
