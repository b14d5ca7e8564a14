"""An augmented Neural ODE appends zeros to the state, which lets it separate what a plain one cannot."""

import pytest
import torch
from torch import Tensor, nn

from node import FixedStep, NeuralODE, PIDController, SolveError
from node.models import MLP, AugmentedNeuralODE

STEPS = FixedStep(dt=0.1)
T = torch.tensor([0.0, 0.4, 1.0])


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def augmented(**how: object) -> AugmentedNeuralODE:
    return AugmentedNeuralODE(MLP(5, width=8), "rk4", augment_dims=2, controller=STEPS, **how)


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3)], ids=str)
def test_the_states_are_those_of_a_neural_ode_whose_start_has_zeros_appended(shape: tuple[int, ...]) -> None:
    model, y0 = augmented(), torch.randn(shape)
    with_zeros = torch.cat([y0, torch.zeros(*shape[:-1], 2)], dim=-1)
    assert torch.equal(model(y0, T), NeuralODE(model.ode.vector_field, "rk4", controller=STEPS)(with_zeros, T))
    assert model(y0, T).shape == (3, *shape[:-1], 5)


def test_projected_states_have_the_features_of_the_input_alone() -> None:
    whole, y0 = augmented(), torch.randn(4, 3)
    projected = augmented(project=True)
    projected.load_state_dict(whole.state_dict())
    assert torch.equal(projected(y0, T), whole(y0, T)[..., :3])
    assert torch.equal(projected(y0, T)[0], y0)


def test_zeros_may_be_appended_as_channels_of_an_image() -> None:
    class Convolution(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Conv2d(5, 5, 3, padding=1)

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return self.net(y)

    images = torch.randn(2, 3, 6, 6)
    for project, channels in ((False, 5), (True, 3)):
        model = AugmentedNeuralODE(
            Convolution(), "rk4", augment_dims=2, controller=STEPS, dim=-3, project=project, gradient="adjoint"
        )
        states = model(images, T)
        assert states.shape == (3, 2, channels, 6, 6)
        assert torch.equal(states[0, :, :3], images)
        assert not states[0, :, 3:].any()


def test_solve_gives_the_states_and_the_number_of_evaluations() -> None:
    solution = augmented().solve(torch.randn(4, 3), T)
    assert solution.stats.nfe_forward == 40
    assert solution.y.shape == (3, 4, 5)


def test_zero_new_dimensions_or_a_dim_counted_from_the_front_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^augment_dims is 0 and must be at least 1"):
        AugmentedNeuralODE(MLP(3, width=8), "rk4", augment_dims=0, controller=STEPS)
    with pytest.raises(ValueError, match=r"^dim is 1 and is counted from the end"):
        augmented(dim=1)


def test_max_steps_is_passed_to_the_solve() -> None:
    model = AugmentedNeuralODE(
        MLP(4, width=8), "dopri5", augment_dims=1, controller=PIDController(rtol=1e-6, atol=1e-6), max_steps=1
    )
    with pytest.raises(SolveError, match=r"^max_steps: "):
        model(torch.randn(4, 3), T)


# Dupont, Doucet & Teh (2019), section 3: a model is to separate points of |x| < 1/2 from those of 1 < |x| < 3/2.
OUTER = torch.linspace(1.0, 1.5, 32)
SPHERES = torch.cat([-OUTER.flip(0), torch.linspace(-0.5, 0.5, 64), OUTER]).unsqueeze(1)
LABEL = torch.where(SPHERES.abs() < 0.75, -1.0, 1.0)
# A flow on the line keeps the order of points, so a linear function of y(1) is monotone in y(0). The best monotone
# function gives the inner points and one side the pooled mean (1/4 - 1/2) / (3/4) = -1/3; its loss is 3/4 (1 - 1/9).
BEST_MONOTONE = 2 / 3


def loss_on_spheres(ode: nn.Module, dims: int) -> list[float]:
    """The mean squared errors of a linear readout in each step of training the readout and the field."""
    readout = nn.Linear(dims, 1)
    optimiser = torch.optim.Adam([*ode.parameters(), *readout.parameters()], lr=0.02)
    losses = []
    for _ in range(120):
        optimiser.zero_grad()
        loss = (readout(ode(SPHERES, torch.tensor([0.0, 1.0]))[-1]) - LABEL).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


@pytest.mark.exhaustive
def test_a_plain_neural_ode_cannot_separate_concentric_spheres() -> None:
    """The loss approaches that of the best monotone function and does not fall below it."""
    losses = loss_on_spheres(NeuralODE(MLP(1, width=32), "rk4", controller=STEPS), 1)
    assert min(losses) > BEST_MONOTONE - 1e-3
    assert losses[-1] < BEST_MONOTONE + 0.05


def test_an_augmented_neural_ode_separates_concentric_spheres() -> None:
    """If the appended dimension stayed zero or were not read, the loss would be that of a plain one, above 0.66."""
    ode = AugmentedNeuralODE(MLP(2, width=32), "rk4", augment_dims=1, controller=STEPS)
    assert loss_on_spheres(ode, 2)[-1] < 0.1
