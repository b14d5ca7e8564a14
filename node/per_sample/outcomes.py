"""How each of many samples fares: how it ends, and after how many tries."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from node.per_sample.clock import Bools
from node.solution import SampleStats, Status


class Outcomes:
    """The samples' statuses and counts, (B,) each."""

    def __init__(self, samples: int) -> None:
        self._status = [Status.success] * samples
        self._n_tried = np.zeros(samples, dtype=np.int64)  # of samples that have ended
        self._n_rejected = np.zeros(samples, dtype=np.int64)

    def reject(self, samples: Bools) -> None:
        """Count a try that was in vain."""
        self._n_rejected += samples

    def end(self, samples: Bools, tries: int) -> None:
        """Note that these samples have ended after so many tries."""
        self._n_tried[samples] = tries

    def put(self, samples: Bools, status: Status) -> None:
        """Give these samples a status, if they have succeeded until now."""
        for i in np.flatnonzero(samples):
            if self._status[i] is Status.success:
                self._status[i] = status

    def checked(self, outputs: Tensor) -> Tensor:
        """Outputs (T, B, n), where samples whose outputs left the finite numbers are named, and are NaN."""
        finite = torch.isfinite(outputs.detach()).all(dim=2).cpu().numpy()
        if finite.all():
            return outputs
        self.put(np.logical_not(finite.all(axis=0)), Status.non_finite)
        return outputs.where(torch.from_numpy(finite).to(outputs.device).unsqueeze(2), math.nan)

    @property
    def status(self) -> Status:
        """The status of the whole batch."""
        return of_all(self._status)

    def stats(self) -> SampleStats:
        """The statistics of each sample, once all have ended."""
        n_accepted = torch.from_numpy(self._n_tried - self._n_rejected)
        return SampleStats(n_accepted, torch.from_numpy(self._n_rejected), tuple(self._status))


def of_all(statuses: Sequence[Status]) -> Status:
    """The first failure; where there is none, an event if a sample had one."""
    failed = [status for status in statuses if status.failed]
    return failed[0] if failed else Status.event if Status.event in statuses else Status.success
