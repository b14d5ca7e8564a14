"""The status and the number of tries of each of many samples."""

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
        self._n_tried = np.zeros(samples, dtype=np.int64)  # set when a sample ends
        self._n_rejected = np.zeros(samples, dtype=np.int64)

    def reject(self, samples: Bools) -> None:
        """Count a rejected try in these samples."""
        self._n_rejected += samples

    def end(self, samples: Bools, tries: int) -> None:
        """Record that these samples have ended after this number of tries."""
        self._n_tried[samples] = tries

    def put(self, samples: Bools, status: Status) -> None:
        """Give a status to those of these samples whose status is still `success`."""
        for i in np.flatnonzero(samples):
            if self._status[i] is Status.success:
                self._status[i] = status

    def checked(self, outputs: Tensor) -> Tensor:
        """The outputs (T, B, n) with NaN in states that are not finite; their samples get the status non_finite."""
        finite = torch.isfinite(outputs.detach()).all(dim=2).cpu().numpy()
        if finite.all():
            return outputs
        self.put(np.logical_not(finite.all(axis=0)), Status.non_finite)
        return outputs.where(torch.from_numpy(finite).to(outputs.device).unsqueeze(2), math.nan)

    @property
    def status(self) -> Status:
        """The status of the whole batch."""
        return batch_status(self._status)

    def stats(self) -> SampleStats:
        """The statistics of each sample, once all have ended."""
        n_accepted = torch.from_numpy(self._n_tried - self._n_rejected)
        return SampleStats(n_accepted, torch.from_numpy(self._n_rejected), tuple(self._status))


def batch_status(statuses: Sequence[Status]) -> Status:
    """The status of a batch: the first failure, else `event` if a sample had one, else `success`."""
    failed = [status for status in statuses if status.failed]
    return failed[0] if failed else Status.event if Status.event in statuses else Status.success
