"""A latent ODE: its encoder, its evidence lower bound, and its forecasts."""

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from node import FixedStep, NeuralODE
from node.models import MLP, LatentODE, RecognitionRNN

STEPS = FixedStep(dt=0.1)
T = torch.tensor([0.2, 0.3, 0.9, 1.0])


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def small(**how: object) -> LatentODE:
    encoder, decoder = RecognitionRNN(2, 3, width=6), nn.Linear(3, 2)
    return LatentODE(encoder, MLP(3, width=8), decoder, "rk4", noise_std=0.5, controller=STEPS, **how)


def test_the_encoder_is_a_gru_backwards_over_observations_and_time_gaps() -> None:
    encoder, x = RecognitionRNN(2, 3, width=6), torch.randn(4, 5, 2)
    gru = encoder.rnn
    h = torch.zeros(5, 6)
    for i, gap in ((3, 0.0), (2, T[3] - T[2]), (1, T[2] - T[1]), (0, T[1] - T[0])):
        from_input = torch.cat([x[i], torch.full((5, 1), float(gap))], dim=1) @ gru.weight_ih_l0.t() + gru.bias_ih_l0
        from_h = h @ gru.weight_hh_l0.t() + gru.bias_hh_l0
        (r, z, n), (hr, hz, hn) = from_input.chunk(3, dim=1), from_h.chunk(3, dim=1)
        update = torch.sigmoid(z + hz)
        h = (1 - update) * torch.tanh(n + torch.sigmoid(r + hr) * hn) + update * h
    mean, log_variance = (h @ encoder.readout.weight.t() + encoder.readout.bias).split(3, dim=1)
    q = encoder(x, T)
    torch.testing.assert_close(q.mean, mean)
    torch.testing.assert_close(q.variance, log_variance.exp())
    assert (q.batch_shape, q.event_shape) == ((5,), (3,))


def test_one_series_is_encoded_as_in_a_batch() -> None:
    encoder, x = RecognitionRNN(2, 3, width=6), torch.randn(4, 5, 2)
    torch.testing.assert_close(encoder(x[:, 1], T).mean, encoder(x, T).mean[1])


def test_the_bound_is_that_of_the_formula() -> None:
    """The bound is log N(x; decoded, 1/4), summed over times and features, less the KL divergence of q from N(0, 1)."""
    model, x = small(), torch.randn(4, 5, 2)
    torch.manual_seed(1)
    found = model.elbo(x, T)
    torch.manual_seed(1)
    q = model.encoder(x, T)
    residual = x - model.decoder(NeuralODE(model.ode.vector_field, "rk4", controller=STEPS)(q.rsample(), T))
    log_likelihood = (-2 * residual**2 - 0.5 * torch.log(torch.tensor(2 * torch.pi * 0.25))).sum((0, 2))
    divergence = 0.5 * (q.mean**2 + q.variance - 1 - q.variance.log()).sum(1)
    torch.testing.assert_close(found, log_likelihood - divergence)
    assert found.shape == (5,)


def test_the_bound_is_tight_if_q_is_the_posterior_and_lower_otherwise() -> None:
    """A constant latent state, observed once: p(x) = N(0, 1 + s^2), posterior N(x / (1 + s^2), s^2 / (1 + s^2))."""
    s, x, t = 0.5, torch.randn(1, 1000, 1, dtype=torch.float64), torch.tensor([0.0])
    exact = Normal(0.0, (1 + s**2) ** 0.5).log_prob(x[0, :, 0])
    for shift, is_posterior in ((0.0, True), (0.5, False)):
        model = LatentODE(
            lambda x, t, shift=shift: Independent(Normal(x[0] / (1 + s**2) + shift, s / (1 + s**2) ** 0.5), 1),
            lambda t, z: torch.zeros_like(z),
            nn.Identity(),
            "euler",
            noise_std=s,
            controller=STEPS,
        )
        bound = model.elbo(x, t).mean()
        assert (abs(bound - exact.mean()) < 0.1) == is_posterior
        assert bound < exact.mean() + 0.1


def test_a_forecast_starts_at_the_first_observation() -> None:
    """The forecast is solved from z0 at t[0], whether its times start there, later or earlier."""
    model, x = small(), torch.randn(4, 5, 2)
    z0 = model.encoder(x, T).mean
    whole = model(x, T, torch.tensor([0.2, 1.0, 2.0]))
    torch.testing.assert_close(whole, model.decode(z0, torch.tensor([0.2, 1.0, 2.0])))
    torch.testing.assert_close(model(x, T, torch.tensor([1.0, 2.0])), whole[1:])
    before = model.decode(z0, torch.tensor([0.2, 0.0]))[1:]
    torch.testing.assert_close(model(x, T, torch.tensor([0.0])), before)


def spirals(n: int, t: Tensor) -> Tensor:
    """Spirals that open outwards, each from a random angle: (len(t), n, 2)."""
    angle = t[:, None] + 2 * torch.pi * torch.rand(n)
    return (0.5 + 0.1 * t)[:, None, None] * torch.stack((angle.cos(), angle.sin()), dim=-1)


def noisy(x: Tensor) -> Tensor:
    return x + 0.03 * torch.randn_like(x)


def rms(error: Tensor) -> float:
    return error.square().mean().sqrt().item()


@pytest.mark.exhaustive
def test_a_latent_ode_extrapolates_spirals_beyond_the_observed_window() -> None:
    """Observations at 24 irregular times within [0, 6.3], a forecast at 8 times within [6.3, 9].

    The last observation or the mean of all, as a forecast, has an error of about 1; so has a model whose z0 does not
    depend on x or whose latent state does not follow x in time. The test requires a third of that error.
    """
    seen = 6.3 * torch.cat([torch.zeros(1), torch.rand(23).sort().values])
    later = 6.3 + 2.7 * torch.rand(8).sort().values
    field = MLP(4, width=32, activation=nn.ELU)
    model = LatentODE(
        RecognitionRNN(2, 4, width=32), field, nn.Linear(4, 2), "midpoint", noise_std=0.1, controller=FixedStep(dt=0.5)
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=0.03)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.03, total_steps=130)
    for _ in range(130):
        optimiser.zero_grad()
        (-model.elbo(noisy(spirals(32, seen)), seen).mean()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1000.0)
        optimiser.step()
        schedule.step()
    true = spirals(200, torch.cat([seen, later]))
    x, future = noisy(true[:24]), true[24:]
    with torch.no_grad():
        forecast = rms(model(x, seen, later) - future)
    assert forecast < min(rms(x[-1] - future), rms(x.mean(0) - future)) / 3
