"""A model learns gravity, the height of the ground and the effect of a bounce from the heights of a ball.

    python docs/examples/torchdiffeq/learn_physics.py --iterations 1000

Only the import below names a library: with `from torchdiffeq import odeint, odeint_adjoint, odeint_event` the program
runs the same.
"""

import argparse
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from node import odeint, odeint_adjoint, odeint_event

State = tuple[Tensor, ...]  # height, velocity, and the event's parameter
HOW = {"atol": 1e-8, "rtol": 1e-8, "method": "dopri5"}


class Fall(nn.Module):
    """The vector field of a fall with constant acceleration, which is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.acceleration, self.scale = nn.Linear(1, 1), nn.Parameter(torch.tensor(10.0))

    def forward(self, t: Tensor, state: State) -> State:
        """d/dt of the state."""
        _, velocity, *rest = state
        acceleration = torch.tanh(self.acceleration(torch.zeros_like(velocity))) * self.scale
        return velocity, acceleration, *[torch.zeros_like(x) for x in rest]


class Ground(nn.Module):
    """The event of touching the ground, whose height is learned; its root is in the state, to get a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.root = nn.Parameter(torch.rand(1))

    def parameters(self) -> list[nn.Parameter]:
        """The event's only parameter."""
        return [self.root]

    def forward(self, t: Tensor, state: State) -> Tensor:
        """The height above ground."""
        return state[0] - state[2].reshape_as(state[0]) ** 2


class Bounce(nn.Module):
    """The effect of a bounce on the velocity, which is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(1, 1)

    def forward(self, state: State) -> State:
        """The state after a bounce."""
        height, velocity, *rest = state
        return height, -torch.sigmoid(self.net(torch.ones_like(velocity))) * velocity, *rest


class Physics(nn.Module):
    """A ball that falls and bounces."""

    def __init__(self, adjoint: bool) -> None:
        super().__init__()
        self.odeint = odeint_adjoint if adjoint else odeint
        self.height, self.velocity = nn.Parameter(torch.tensor([10.0])), nn.Parameter(torch.tensor([0.0]))
        self.fall, self.ground, self.bounce = Fall(), Ground(), Bounce()

    def until(self, end: Tensor, state: State, t: Tensor) -> tuple[Tensor, State]:
        """The time of the next bounce, or a little after `end` if there is none before, and the state there."""

        def event_fn(time: Tensor, at: State) -> Tensor:
            if time > end + 1e-7:
                return torch.zeros_like(time)
            return self.ground(time, at)

        event_t, states = odeint_event(self.fall, state, t, event_fn=event_fn, odeint_interface=self.odeint, **HOW)
        return event_t, tuple(part[-1] for part in states)

    def forward(self, times: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The heights at the times, and the times of the bounces on the way."""
        t, state = torch.zeros(1), (self.height, self.velocity, *self.ground.parameters())
        heights, bounces = [state[0]], []
        while t < times[-1]:
            event_t, at_event = self.until(times[-1], state, t)
            within = times[(times > t) & (times <= event_t)]
            states = self.odeint(self.fall, state, torch.cat((t.reshape(-1), within)), **HOW)
            heights.append(states[0][1:].reshape(-1))
            if event_t < times[-1]:
                bounces.append(event_t)
                height, *rest = self.bounce(at_event)
                state = (height + 1e-7 * rest[0], *rest)
            t = event_t
        return torch.cat(heights), bounces


def observed(count: int) -> tuple[Tensor, Tensor]:
    """Times and heights of a ball that falls from height 10 to the ground at 0.2 and keeps 0.8 of its velocity."""
    gravity, ground, kept = 9.8, 0.2, 0.8
    first = math.sqrt(2 * (10 - ground) / gravity)
    times = torch.linspace(0.0, 1.9 * first, count)
    fallen = 10 - gravity * times**2 / 2
    since = times - first
    risen = ground + kept * gravity * first * since - gravity * since**2 / 2
    return times, torch.where(times <= first, fallen, risen)


def main(arguments: Sequence[str] | None = None) -> dict[str, list[float]]:
    """Train; the losses, the times of the bounces and the gradients of the last iteration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--observed", type=int, default=100)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--adjoint", action="store_true")
    asked = parser.parse_args(arguments)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        torch.manual_seed(0)
        times, truth = observed(asked.observed)
        model = Physics(asked.adjoint)
        nn.init.constant_(model.fall.acceleration.bias, -0.5)
        optimiser = torch.optim.Adam(model.parameters(), lr=asked.lr)
        losses = []
        for iteration in range(1, asked.iterations + 1):
            optimiser.param_groups[0]["lr"] = asked.lr / 2 * (1 + math.cos(math.pi * iteration / asked.iterations))
            optimiser.zero_grad()
            heights, bounces = model(times)
            loss = (heights - truth).square().mean()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
            print(f"{iteration:5d}: loss {losses[-1]:.5f}, {len(bounces)} bounces")
    finally:
        torch.set_default_dtype(before)
    gradients = [x for p in model.parameters() for x in ([] if p.grad is None else p.grad.flatten().tolist())]
    return {"losses": losses, "bounces": [t.item() for t in bounces], "gradients": gradients}


if __name__ == "__main__":
    main()
