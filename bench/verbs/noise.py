"""The verb noise, which measures how noisy this machine is."""

from typing import Annotated

import typer

from bench.verbs.base import verb


@verb("nodebench noise --seconds 60")
def noise(
    seconds: Annotated[float, typer.Option(min=1.0, help="How long to measure.")] = 20.0,
) -> None:
    """Measure how noisy this machine is, why, and what would help."""
    from bench.worker import forkserver

    forkserver.start()
    from bench.answers.noise import print_noise

    print_noise(seconds)
