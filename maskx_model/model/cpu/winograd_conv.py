"""3×3 convolutions on CPUs by Winograd's minimal filtering, F(4×4, 3×3) of Lavin & Gray: a quarter of the
multiplications of the direct sum that oneDNN takes, and its precision.

Outputs are made in tiles of 4 × 4. A tile's 6 × 6 inputs become 36 others of each channel, on each of which the
convolution is a matrix product over the channels. Inputs and outputs are values of polynomials at `POINTS` and at
infinity: with the usual 0, ±1 and ±2 rounding errors would be four times as large.
"""

from collections.abc import Sequence
from math import prod, sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from maskx_model.model.cpu.eligible import inference_on_processor

TILE, WINDOW = 4, 6
"""Outputs and inputs of a tile, along a side."""

POINTS = (0.0, sqrt(0.5), -sqrt(0.5), sqrt(2.0), -sqrt(2.0))

TILES_AT_ONCE = 200
"""Transformed they fill 7 MB at 256 channels: enough for the matrix products, and they stay in the cache."""

FEWEST_CHANNELS = 128
"""With fewer the transforms, which are linear in the channels, cost more than the products save."""

FEWEST_TILES = 100
"""With fewer the kernel's own transform costs more than it saves."""

_FROM_POINTS = torch.tensor([[p**k for p in POINTS] + [float(k == TILE - 1)] for k in range(TILE)], dtype=torch.float64)
_TO_POINTS = torch.tensor(
    [[p**k / prod(p - other for other in POINTS if other != p) for k in range(3)] for p in POINTS] + [[0.0, 0.0, 1.0]],
    dtype=torch.float64,
)
_OUTPUT = torch.kron(_FROM_POINTS, _FROM_POINTS).float()
_KERNEL = torch.kron(_TO_POINTS, _TO_POINTS).float()


class WinogradConv2d(nn.Conv2d):
    """A 3×3 convolution with a border of one zero; by `winograd_convolution` where that applies and pays."""

    def forward(self, features: Tensor) -> Tensor:
        """[N, in_channels, H, W] → [N, out_channels, H, W]."""
        if not (self._pays(features) and inference_on_processor(self, features)):
            result: Tensor = super().forward(features)
            return result
        return winograd_convolution(features, self.weight, self.bias)

    def _pays(self, features: Tensor) -> bool:
        tiles = len(features) * _tiles(features.shape[-2]) * _tiles(features.shape[-1])
        return min(self.in_channels, self.out_channels) >= FEWEST_CHANNELS and tiles >= FEWEST_TILES


def use_winograd(module: nn.Module) -> None:
    """Let all 3×3 convolutions of that kind in `module` be `WinogradConv2d`; their parameters stay."""
    for layer in module.modules():
        if type(layer) is nn.Conv2d and _is_plain(layer):
            layer.__class__ = WinogradConv2d


def _is_plain(layer: nn.Conv2d) -> bool:
    shape = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups, layer.padding_mode)
    return shape == ((3, 3), (1, 1), (1, 1), (1, 1), 1, "zeros")


def winograd_convolution(features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """As `conv2d` with padding 1: features float32 [N, C, H, W], weight [O, C, 3, 3] and bias [O] → [N, O, H, W], in
    channels-last memory. Made in strips of `TILES_AT_ONCE`."""
    maps = features.permute(0, 2, 3, 1).contiguous()
    images, height, width, _ = maps.shape
    kernel = _transformed_kernel(weight)
    result = maps.new_empty(images, height, width, len(weight))
    rows = TILE * max(1, TILES_AT_ONCE // _tiles(width))
    together = max(1, TILES_AT_ONCE // (_tiles(width) * _tiles(height)))
    for image in range(0, images, together):
        for row in range(0, height, rows):
            part = result[image : image + together, row : row + rows]
            tiled = _convolved(_window(maps[image : image + together], row, part.shape[1]), kernel)
            torch.add(tiled[:, : part.shape[1], :width], 0.0 if bias is None else bias, out=part)
    return result.permute(0, 3, 1, 2)


def _tiles(size: int) -> int:
    return -(-size // TILE)


def _window(maps: Tensor, row: int, count: int) -> Tensor:
    """What whole tiles see that make `count` rows from `row` on: of maps [N, H, W, C], with zeros around them,
    [N, 4 · tile rows + 2, 4 · tile columns + 2, C]."""
    height, width = maps.shape[1:3]
    top, bottom = row - 1, row + TILE * _tiles(count) + 1
    border = (1, TILE * _tiles(width) + 1 - width, max(-top, 0), max(bottom - height, 0))
    return F.pad(maps[:, max(top, 0) : bottom], (0, 0, *border))


def _convolved(window: Tensor, kernel: Tensor) -> Tensor:
    """A `_window` [N, 4 t + 2, 4 u + 2, C] and transformed kernel [36, C, O] → [N, 4 t, 4 u, O]."""
    images, height, width, channels = window.shape
    rows, columns = height // TILE, width // TILE
    across = window.new_empty(WINDOW, images, height, columns, channels)
    _transform([window[:, :, i : i + width - 5 : TILE] for i in range(WINDOW)], across)
    both = window.new_empty(WINDOW, WINDOW, images, rows, columns, channels)
    _transform([across[:, :, i : i + height - 5 : TILE] for i in range(WINDOW)], both)
    products = torch.bmm(both.view(WINDOW**2, -1, channels), kernel)
    tiles = (_OUTPUT @ products.flatten(1)).view(TILE, TILE, images, rows, columns, -1)
    return tiles.permute(2, 3, 0, 4, 1, 5).reshape(images, TILE * rows, TILE * columns, -1)


def _transform(inputs: Sequence[Tensor], out: Tensor) -> None:
    """Along one side: each tile's six inputs → `out`, [6, *shape]. In row p are the coefficients of x (x² - ½) (x² - 2)
    divided by x - p; the last row is undivided."""
    torch.sub(inputs[0], inputs[2], alpha=2.5, out=out[0]).add_(inputs[4])
    torch.sub(inputs[1], inputs[3], alpha=2.5, out=out[5]).add_(inputs[5])
    for row in (1, 3):
        other = 1 / POINTS[row] ** 2
        even = torch.sub(inputs[4], inputs[2], alpha=other, out=out[row])
        odd = torch.sub(inputs[3], inputs[1], alpha=other, out=out[row + 1])
        even.add_(odd, alpha=POINTS[row])
        torch.sub(even, odd, alpha=2 * POINTS[row], out=odd)


def _transformed_kernel(weight: Tensor) -> Tensor:
    """[O, C, 3, 3] → [36, C, O]."""
    outputs, channels = weight.shape[:2]
    return (_KERNEL @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(-1, channels, outputs)
