"""torch_measure: SVI with a mean-field normal guide, or joint maximum likelihood by L-BFGS."""

from typing import Any

import numpy as np
import torch
from torch_measure.models import Rasch, ThreePL, TwoPL

MODELS = {"1pl": Rasch, "2pl": TwoPL, "3pl": ThreePL}


def prepare(values: np.ndarray, irt: str) -> torch.Tensor:
    """A tensor; it takes NaN."""
    return torch.from_numpy(values.copy())


def fit(data: torch.Tensor, irt: str, seed: int, epochs: int, method: str) -> Any:
    """Fit with the learning rate that the method has by default when called by itself."""
    torch.manual_seed(seed)
    model = MODELS[irt](*data.shape)
    rate = {"svi": 0.01, "jml": 0.1}[method]
    history = model.fit(data, method=method, max_epochs=epochs, lr=rate, verbose=False)
    return model, len(history["losses"])


def read(found: Any, data: torch.Tensor) -> dict[str, np.ndarray]:
    """Point estimates; guessing is 0 but in the 3PL."""
    model, epochs = found
    names = {"theta": "ability", "a": "discrimination", "b": "difficulty", "c": "guessing"}
    given = {k: getattr(model, name, None) for k, name in names.items()}
    out = {k: x.detach().double().numpy() for k, x in given.items() if x is not None}
    rest = {"a": np.ones(data.shape[1]), "c": np.zeros(data.shape[1])}
    return rest | out | {"epochs": np.array(epochs)}
