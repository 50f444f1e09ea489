"""`senet` and `senet_original` in PyTorch, for comparing speed: the layers of `networks.senet` and
`networks.senet_original`.

Only the padding of strided 3x3 layers differs: PyTorch pads all sides equally, TensorFlow's SAME
pads only the right and the bottom. The number of operations is the same.

`python benchmarks/speed/pytorch_networks.py` prints the number of parameters of both.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

SENET_BLOCKS = ((64, 2), (128, 2), (128, 1), (192, 2), (192, 1), (256, 2), (256, 1))
SENET_ORIGINAL_BLOCKS = (64, 128, 128, 256, 512)
MAP_CHANNELS, GRID_REACH = 128, 0.1
PARAMETERS = {"senet": 561_604, "senet_original": 1_022_796}
"""Number of trainable parameters of TensorFlow's networks with 68 points."""


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with the constants of `layers.batch_norm`."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def conv(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    relu: bool = True,
    groups: int = 1,
) -> nn.Sequential:
    """Convolution, batch normalisation and, with `relu`, an in-place ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        norm(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


class SqueezeExcite(nn.Module):
    """As `layers.squeeze_excite`."""

    def __init__(self, channels: int, reduction: int = 4):
        super().__init__()
        hidden = max(channels // reduction, 4)
        self.reduce, self.expand = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, net: Tensor) -> Tensor:
        squeezed = functional.relu_(self.reduce(net.mean((2, 3), keepdim=True)))
        return net * torch.sigmoid(self.expand(squeezed))


class Block(nn.Module):
    """As `senet.se_block`."""

    def __init__(self, inputs: int, channels: int, stride: int):
        super().__init__()
        shortcut: list[nn.Module] = [nn.AvgPool2d(2)] if stride == 2 else []
        if inputs != channels:
            shortcut.append(conv(inputs, channels, relu=False))
        self.shortcut = nn.Sequential(*shortcut)
        self.residual = nn.Sequential(
            conv(inputs, channels // 4),
            conv(channels // 4, channels // 4, 3, stride),
            conv(channels // 4, channels, relu=False),
            SqueezeExcite(channels),
        )

    def forward(self, net: Tensor) -> Tensor:
        return functional.relu_(self.residual(net) + self.shortcut(net))


class OriginalBlock(nn.Module):
    """As `senet_original.original_block`."""

    def __init__(self, inputs: int, channels: int):
        super().__init__()
        self.pool = nn.AvgPool2d(2)
        self.shortcut = conv(inputs, channels, relu=False) if inputs != channels else nn.Identity()
        self.residual = nn.Sequential(
            conv(inputs, inputs // 4),
            conv(inputs // 4, inputs // 4, 3),
            conv(inputs // 4, channels, relu=False),
            SqueezeExcite(channels, 16),
        )

    def forward(self, net: Tensor) -> Tensor:
        net = self.pool(net)
        return self.shortcut(net) + self.residual(net)


class Blocks(nn.ModuleList):
    """Blocks in sequence; returns the maps before each stride, and the last maps."""

    def __init__(self, inputs: int, blocks: Sequence[tuple[int, int]]):
        channels = [inputs, *(block[0] for block in blocks)]
        super().__init__(Block(channels[i], *block) for i, block in enumerate(blocks))
        self.strides = [stride for _, stride in blocks]

    def forward(self, net: Tensor) -> list[Tensor]:
        stages = []
        for block, stride in zip(self, self.strides, strict=True):
            if stride == 2:
                stages.append(net)
            net = block(net)
        return [*stages, net]


class SoftArgmax(nn.Module):
    """As `heads.soft_argmax`, on three stages, finest first, for maps of `side` x `side`."""

    def __init__(self, inputs: Sequence[int], points: int, side: int):
        super().__init__()
        self.lateral = nn.ModuleList(conv(n, MAP_CHANNELS, relu=False) for n in inputs)
        self.depthwise = nn.ModuleList(
            conv(MAP_CHANNELS, MAP_CHANNELS, 3, groups=MAP_CHANNELS) for _ in inputs
        )
        self.mix = conv(MAP_CHANNELS, MAP_CHANNELS)
        self.maps = nn.Conv2d(MAP_CHANNELS, points, 1)
        axis = torch.linspace(-GRID_REACH, 1 + GRID_REACH, side)
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        self.register_buffer("grid", torch.stack([x, y], -1).reshape(-1, 2))

    def forward(self, stages: list[Tensor]) -> tuple[Tensor, Tensor]:
        net: Tensor | None = None
        for level in reversed(range(len(stages))):
            lateral = self.lateral[level](stages[level])
            if net is not None:
                lateral = lateral + functional.interpolate(net, scale_factor=2, mode="nearest")
            net = self.depthwise[level](functional.relu_(lateral))
        logits = self.maps(self.mix(net)).flatten(2)
        return torch.softmax(logits, -1) @ self.grid, logits


class Senet(nn.Module):
    """As `senet.senet` with the `soft_argmax` head; returns landmarks and logits of their maps."""

    def __init__(self, points: int = 68, size: int = 128):
        super().__init__()
        self.stem = conv(3, 16, 3, 2)
        self.blocks = Blocks(16, SENET_BLOCKS)
        self.head = SoftArgmax((128, 192, 256), points, size // 8)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Landmarks [N, K, 2] and logits [N, K, H W] of uint8 images [N, 3, H, W]."""
        return self.head(self.blocks(self.stem(scaled(image)))[-3:])


class SenetOriginal(nn.Module):
    """As `senet.senet_original`; returns the landmarks and None."""

    def __init__(self, points: int = 68, dropout_keep: float = 0.8):
        super().__init__()
        self.stem = conv(3, 32, 3)
        self.pool = nn.AvgPool2d(3, 2, 1, count_include_pad=False)
        channels = (32, *SENET_ORIGINAL_BLOCKS)
        self.blocks = nn.Sequential(*map(OriginalBlock, channels, channels[1:]))
        self.hidden, self.dropout = nn.Linear(512, 1024), nn.Dropout(1 - dropout_keep)
        self.coordinates = nn.Linear(1024, 2 * points)
        nn.init.constant_(self.coordinates.bias, 0.5)

    def forward(self, image: Tensor) -> tuple[Tensor, None]:
        """Landmarks [N, K, 2] of uint8 images [N, 3, H, W]."""
        net = self.blocks(self.pool(self.stem(image.float()))).mean((2, 3))
        net = self.dropout(functional.relu_(self.hidden(net)))
        return functional.relu_(self.coordinates(net)).unflatten(1, (-1, 2)), None


def scaled(image: Tensor) -> Tensor:
    """Converts uint8 to float32 in [-1, 1]."""
    return image.float().mul_(1 / 127.5).sub_(1)


def build(name: str, points: int = 68) -> nn.Module:
    """The network called `name`; it has as many parameters as TensorFlow's."""
    network = {"senet": Senet, "senet_original": SenetOriginal}[name](points)
    assert points != 68 or parameters(network) == PARAMETERS[name], parameters(network)
    return network


def parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(weight.numel() for weight in network.parameters())


if __name__ == "__main__":
    print({name: parameters(build(name)) for name in PARAMETERS})
