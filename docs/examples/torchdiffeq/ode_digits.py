"""An ODE in place of residual layers classifies ten digits of a bitmap font, shifted and noisy.

    python docs/examples/torchdiffeq/ode_digits.py --adjoint

Only the import below names a library: with `from torchdiffeq import odeint, odeint_adjoint` the program runs the same.
"""

import argparse
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from node import odeint, odeint_adjoint

# Five rows of three pixels, the bits of an octal digit a row.
FONT = (0o75557, 0o26227, 0o71747, 0o71717, 0o55711, 0o74717, 0o74757, 0o71111, 0o75757, 0o75717)


def digits(count: int) -> tuple[Tensor, Tensor]:
    """Images (count, 1, 16, 16) of digits twice as large as the font's, and their labels (count,)."""
    bits = torch.tensor([[code >> (14 - i) & 1 for i in range(15)] for code in FONT], dtype=torch.float32)
    glyphs = nn.functional.interpolate(bits.view(10, 1, 5, 3), scale_factor=2)
    labels, images = torch.randint(10, (count,)), 0.3 * torch.randn(count, 1, 16, 16)
    for image, label in zip(images, labels, strict=True):
        top, left = torch.randint(1, 6, ()), torch.randint(2, 9, ())
        image[:, top : top + 10, left : left + 6] += glyphs[label]
    return images, labels


def norm(channels: int) -> nn.Module:
    """A normalisation over groups of channels, which keeps no statistics."""
    return nn.GroupNorm(min(8, channels), channels)


class WithTime(nn.Module):
    """A convolution whose input has time as one more channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels + 1, channels, 3, padding=1)

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        """The convolution of x and a channel of t."""
        return self.layer(torch.cat((torch.ones_like(x[:, :1]) * t, x), dim=1))


class Field(nn.Module):
    """The vector field, which counts its calls."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(norm(channels) for _ in range(3))
        self.relu = nn.ReLU(inplace=True)
        self.first, self.second = WithTime(channels), WithTime(channels)
        self.nfe = 0

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        """dx/dt."""
        self.nfe += 1
        x = self.first(t, self.relu(self.norms[0](x)))
        x = self.second(t, self.relu(self.norms[1](x)))
        return self.norms[2](x)


class ODEBlock(nn.Module):
    """A layer that solves the ODE from its input at time 0 to time 1."""

    def __init__(self, field: Field, solve: Callable[..., Tensor], tolerance: float) -> None:
        super().__init__()
        self.field = field
        self.solve = solve
        self.tolerance = tolerance
        self.times = torch.tensor([0, 1]).float()

    def forward(self, x: Tensor) -> Tensor:
        """The state at time 1."""
        self.times = self.times.type_as(x)
        return self.solve(self.field, x, self.times, rtol=self.tolerance, atol=self.tolerance)[1]

    @property
    def nfe(self) -> int:
        """The number of calls of the field since it was last set."""
        return self.field.nfe

    @nfe.setter
    def nfe(self, value: int) -> None:
        self.field.nfe = value


def main(arguments: Sequence[str] | None = None) -> dict[str, list[float]]:
    """Train; the losses, the calls of the field forwards and backwards, and the accuracy on other digits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    parser.add_argument("--adjoint", action="store_true")
    asked = parser.parse_args(arguments)

    torch.manual_seed(0)
    channels = asked.channels
    block = ODEBlock(Field(channels), odeint_adjoint if asked.adjoint else odeint, asked.tolerance)
    before = [nn.Conv2d(1, channels, 3), norm(channels), nn.ReLU(inplace=True), nn.Conv2d(channels, channels, 4, 2, 1)]
    after = [norm(channels), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((2, 2)), nn.Flatten()]
    model = nn.Sequential(*before, block, *after, nn.Linear(4 * channels, 10))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses, forwards, backwards = [], [], []
    for iteration in range(1, asked.iterations + 1):
        optimiser.zero_grad()
        images, labels = digits(asked.batch)
        loss = nn.functional.cross_entropy(model(images), labels)
        forwards.append(float(block.nfe))
        block.nfe = 0
        loss.backward()
        backwards.append(float(block.nfe))
        block.nfe = 0
        optimiser.step()
        losses.append(loss.item())
        print(
            f"{iteration:5d}: loss {losses[-1]:.4f}, calls {forwards[-1]:.0f} forwards, {backwards[-1]:.0f} backwards"
        )
    with torch.no_grad():
        images, labels = digits(500)
        right = (model(images).argmax(dim=1) == labels).double().mean().item()
    print(f"{right:.1%} of 500 other digits classified correctly")
    return {"losses": losses, "forwards": forwards, "backwards": backwards, "right": [right]}


if __name__ == "__main__":
    main()
