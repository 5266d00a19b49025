r"""Responses in memory, and the two matrix products by which a fit touches them.

Whatever the IRT model, the log-likelihood of a cell is a sum of products of a statistic of the response
with a coefficient that depends on ability and item alone:

.. math:: \log L_{mi} = \sum_s T_s(y_{mi})\, η_s(θ_m, x_i)

On a few nodes of ability, η is a small array, and all that is ever done to the responses is to gather
their statistics at the nodes, or to spread coefficients from the nodes over the models.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from irtbench.responses.matrix import ResponseMatrix

__all__ = ["EXACT", "Cells", "right_and_trials"]

EXACT = 1e-3  # of a continuous response this near to 0 or 1 no more is known than that
_CELLS = {"cpu": 2**18, "cuda": 2**27}  # cells turned into floats at a time: what stays in cache
_COLUMNS = 64  # at least: products of matrices are slow where there are fewer
_FLOATS = 2**25  # statistics of a matrix so small that they stay as floats: 128 MiB


@dataclass(frozen=True)
class Cells:
    """Responses, one byte a cell where they are 0 or 1.

    Attributes:
        family: ``bernoulli`` (statistics: right, trials) or ``beta`` (number above the lower end, number
            below the upper end, log y, log(1 - y), number).
        values: (n_models, n_items) int8 1 right, -1 wrong, 0 missing; counts; or float32 with NaN.
        trials: counts of trials, or None where every response is one trial.
        complete: trials of every cell if they are the same everywhere, else 0.
    """

    family: str
    values: Tensor
    trials: Tensor | None
    complete: int

    @classmethod
    def of(cls, responses: ResponseMatrix, family: str, device: str | torch.device = "cpu") -> Cells:
        """Take responses to a device."""
        y, trials = responses.values, responses.trials
        if trials is not None:
            n = np.nan_to_num(trials).astype(np.int16)
            k = np.nan_to_num(y * n).astype(np.float32)
            whole = k.round().astype(np.int16)
            right = whole if np.abs(k - whole).max(initial=0) < 1e-3 else k
            same = int(n.flat[0]) if n.size and (n == n.flat[0]).all() else 0
            return cls(family, _on(right, device), _on(n, device), same if family == "bernoulli" else 0)
        seen = responses.observed
        complete = int(seen.all()) if family == "bernoulli" else 0
        if responses.kind == "binary":
            code = 2 * (y > 0.5).view(np.int8)  # NaN is not
            code -= seen.view(np.int8)
            return cls(family, _on(code, device), None, complete)
        return cls(family, _on(y.astype(np.float32), device), None, complete)

    def take(self, items: Tensor) -> Cells:
        """The responses to some items."""
        trials = None if self.trials is None else self.trials[:, items]
        return Cells(self.family, self.values[:, items], trials, self.complete)

    @property
    def shape(self) -> tuple[int, int]:
        """(n_models, n_items)."""
        return int(self.values.shape[0]), int(self.values.shape[1])

    @property
    def device(self) -> torch.device:
        """Where the responses are."""
        return self.values.device

    @property
    def n_statistics(self) -> int:
        """Number of statistics of a response."""
        return 2 if self.family == "bernoulli" else 5

    @cached_property
    def _floats(self) -> dict[int, list[Tensor]]:
        """The statistics of a small matrix by the start of their slice: each a block of its own in memory."""
        return {}

    @property
    def _small(self) -> bool:
        return self.shape[0] * self.shape[1] * self.n_statistics <= _FLOATS

    def parts(self) -> Iterator[slice]:
        """Slices of items that are worked on at a time: what stays in cache as floats."""
        n_models, n_items = self.shape
        width = max(_COLUMNS, _CELLS.get(self.device.type, 2**22) // max(n_models, 1))
        for start in range(0, n_items, width):
            yield slice(start, min(start + width, n_items))

    def statistics(self, part: slice) -> list[Tensor]:
        """Statistics of one of :meth:`parts`, each (n_models, n_part) float32, 0 where missing."""
        if not self._small:
            return self._made(part)
        if part.start not in self._floats:
            self._floats[part.start] = self._made(part)
        return self._floats[part.start]

    def _made(self, part: slice) -> list[Tensor]:
        y = self.values[:, part]
        if self.trials is not None:
            right, trials = y.float(), self.trials[:, part].float()
        elif y.dtype == torch.int8:
            right, trials = (torch.empty(y.shape, device=y.device) for _ in range(2))
            torch.gt(y, 0, out=right)
            torch.ne(y, 0, out=trials)
        else:
            trials = (~y.isnan()).float()
            right = y.nan_to_num()
        if self.family == "bernoulli":
            return [right, trials]
        if self.trials is not None:
            right = right / trials.clamp_min(1)
            trials = (trials > 0).float()
        above, below = trials * (right >= EXACT), trials * (right <= 1 - EXACT)
        inside = right.clamp(EXACT, 1 - EXACT)
        return [above, below, trials * inside.log(), trials * torch.log1p(-inside), trials]

    def totals(self) -> tuple[list[Tensor], list[Tensor]]:
        """Sums of the statistics over items, each (n_models,), and over models, each (n_items,)."""
        of_models, of_items = (
            [torch.zeros(n, device=self.device) for _ in range(self.n_statistics)] for n in self.shape
        )
        for part in self.parts():
            for model, item, t in zip(of_models, of_items, self.statistics(part), strict=True):
                model += t.sum(1)
                item[part] = t.sum(0)
        return of_models, of_items

    def to_nodes(self, weight: Tensor, line: Tensor | None = None) -> list[Tensor]:
        r"""Gather statistics: :math:`F_s = W^⊤ T_s`, each (n_nodes, n_items).

        Args:
            weight: W (n_models, n_nodes).
            line: takes the place of W for the first statistic, (n_models, 2): a coefficient that is a
                straight line in ability asks no more of the responses.
        """
        across = [(weight if s or line is None else line).T.contiguous() for s in range(self.n_statistics)]
        found = [w.new_empty(len(w), self.shape[1]) for w in across]
        if self.complete:
            found[1] = (self.complete * weight.sum(0))[:, None].expand(-1, self.shape[1])
        for part in self.parts():
            for s, t in self._needed(part):
                torch.mm(across[s], t, out=found[s][:, part])
        return found

    def to_models(self, coefficients: Sequence[Tensor], line: Tensor | None = None) -> Tensor:
        r"""Spread coefficients: :math:`\sum_s T_s η_s^⊤`, (n_models, n_nodes), of η_s (n_nodes, n_items).

        Args:
            coefficients: η_s.
            line: nodes as (n_nodes, 2), where the first coefficient is a line (2, n_items) in ability.
        """
        found = [x.new_zeros(self.shape[0], len(x)) for x in coefficients]
        for part in self.parts():
            for s, t in self._needed(part):
                found[s].addmm_(t, coefficients[s][:, part].T)
        if line is not None:
            found[0] = found[0] @ line.T
        total = torch.stack(found).sum(0)
        if self.complete:
            total += self.complete * coefficients[1].sum(1)
        return total

    def trials_to_nodes(self, weight: Tensor) -> Tensor:
        r"""Gather the trials alone, :math:`W^⊤ T`, (n_nodes, n_items)."""
        shape = (weight.shape[1], self.shape[1])
        if self.complete:
            return (self.complete * weight.sum(0))[:, None].expand(shape)
        found, across = weight.new_empty(shape), weight.T.contiguous()
        for part in self.parts():
            torch.mm(across, self.statistics(part)[-1], out=found[:, part])
        return found

    def trials_to_models(self, values: Tensor) -> Tensor:
        r"""Spread values (n_nodes, n_items) by the trials alone, :math:`T η^⊤`, (n_models, n_nodes)."""
        if self.complete:
            return (self.complete * values.sum(1)).expand(self.shape[0], -1)
        found = values.new_zeros(self.shape[0], len(values))
        for part in self.parts():
            found.addmm_(self.statistics(part)[-1], values[:, part].T)
        return found

    def _needed(self, part: slice) -> list[tuple[int, Tensor]]:
        if self.complete and not self._small and self.values.dtype == torch.int8:
            return [(0, (self.values[:, part] > 0).float())]
        found = list(enumerate(self.statistics(part)))
        return found[:1] if self.complete else found


def right_and_trials(statistics: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Sum of the responses and their number, from sums of the statistics of either family.

    The middle responses of the beta family are taken to lie at the mean of their logits.
    """
    if len(statistics) == 2:
        return statistics[0], statistics[1]
    above, below, log_y, log_1y, number = statistics
    low, high, middle = number - above, number - below, above + below - number
    total = log_y - log_1y + (low - high) * math.log((1 - EXACT) / EXACT)
    return high + middle * torch.sigmoid(total / middle.clamp_min(1e-6)), number


def _on(array: np.ndarray, device: str | torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
