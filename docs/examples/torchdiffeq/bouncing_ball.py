"""A bouncing ball, whose times of impact depend on its start, on gravity and on its radius.

    python docs/examples/torchdiffeq/bouncing_ball.py --bounces 5 --adjoint

Only the import below names a library: with `from torchdiffeq import odeint, odeint_adjoint, odeint_event` the program
runs the same. The gradients of the times of the bounces are compared with finite differences.
"""

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from node import odeint, odeint_adjoint, odeint_event

State = tuple[Tensor, Tensor, Tensor]  # height, velocity, logarithm of the radius


class Ball(nn.Module):
    """Free fall; the radius is in the state, as the event depends on it."""

    def __init__(self, adjoint: bool) -> None:
        super().__init__()
        self.gravity = nn.Parameter(torch.tensor([9.8]))
        self.log_radius = nn.Parameter(torch.tensor([0.2]).log())
        self.t0 = nn.Parameter(torch.tensor([0.0]))
        self.height = nn.Parameter(torch.tensor([10.0]))
        self.velocity = nn.Parameter(torch.tensor([0.0]))
        self.absorption = nn.Parameter(torch.tensor([0.2]))
        self.odeint = odeint_adjoint if adjoint else odeint

    def forward(self, t: Tensor, state: State) -> State:
        """d/dt of the state."""
        _, velocity, log_radius = state
        return velocity, -self.gravity, torch.zeros_like(log_radius)

    def above_ground(self, t: Tensor, state: State) -> Tensor:
        """The event: zero where the ball touches the ground."""
        return state[0] - torch.exp(state[2])

    def start(self) -> tuple[Tensor, State]:
        """The start: time and state."""
        return self.t0, (self.height, self.velocity, self.log_radius)

    def bounced(self, state: State) -> State:
        """The state after a bounce, a little above the ground, so that the next event is the next bounce."""
        return state[0] + 1e-7, -state[1] * (1 - self.absorption), state[2]

    def bounces(self, count: int) -> list[Tensor]:
        """The times of the first bounces."""
        (t, state), times = self.start(), []
        for _ in range(count):
            t, states = odeint_event(
                self, state, t, event_fn=self.above_ground, atol=1e-8, rtol=1e-8, odeint_interface=self.odeint
            )
            times.append(t)
            state = self.bounced(tuple(part[-1] for part in states))
        return times

    def path(self, times: Sequence[Tensor], points: int = 20) -> Tensor:
        """Heights between the bounces at these times."""
        (t, state), heights = self.start(), []
        for end in times:
            within = torch.linspace(t.item(), end.item(), points)[1:-1]
            states = odeint(self, state, torch.cat((t.reshape(-1), within, end.reshape(-1))), atol=1e-8, rtol=1e-8)
            heights.append(states[0].reshape(-1))
            t, state = end, self.bounced(tuple(part[-1] for part in states))
        return torch.cat(heights)


def by_differences(ball: Ball, count: int, step: float = 1e-4) -> dict[str, float]:
    """The derivative of the time of the last bounce with respect to each parameter, by finite differences."""
    found = {}
    for name, p in ball.named_parameters():
        ends = []
        for shift in (-step, step):
            p.data += shift
            ends.append(ball.bounces(count)[-1].item())
            p.data -= shift
        found[name] = (ends[1] - ends[0]) / (2 * step)
    return found


def main(arguments: Sequence[str] | None = None) -> dict[str, list[float]]:
    """Let the ball fall; the times of its bounces, the gradients of the last time by two methods, and its path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bounces", type=int, default=10)
    parser.add_argument("--adjoint", action="store_true")
    asked = parser.parse_args(arguments)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        ball = Ball(asked.adjoint)
        times = ball.bounces(asked.bounces)
        times[-1].backward()
        differences = by_differences(ball, asked.bounces)
        gradients = {name: 0.0 if p.grad is None else p.grad.item() for name, p in ball.named_parameters()}
        for name, exact in differences.items():
            print(f"{name:12} gradient {gradients[name]:12.6f}, by differences {exact:12.6f}")
        path = ball.path(times)
    finally:
        torch.set_default_dtype(before)
    return {
        "times": [time.item() for time in times],
        "gradients": list(gradients.values()),
        "differences": list(differences.values()),
        "path": path.tolist(),
    }


if __name__ == "__main__":
    main()
