"""The answer of the verb noise: how noisy this machine is."""

from bench.answers.notices import notify
from bench.machine.lock import turn
from bench.run.noise import described, measured


def print_noise(seconds: float) -> None:
    """Measure this machine's noise, and print it."""
    notify(f"timing one cell as if it were two, for some {seconds:.0f} s: leave the machine as it is when you measure")
    with turn("its noise", notify):
        noise = measured(seconds)
    print(described(noise))
