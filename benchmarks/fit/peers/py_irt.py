"""py-irt: SVI by Adam for a fixed number of epochs, from a pandas table."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from py_irt.config import IrtConfig
from py_irt.dataset import Dataset
from py_irt.training import IrtModelTrainer


def prepare(values: np.ndarray, irt: str) -> Any:
    """Its Dataset, by its own ``from_pandas``."""
    table = pd.DataFrame(values, columns=[f"i{k}" for k in range(values.shape[1])])
    table.insert(0, "model", [f"m{k}" for k in range(len(values))])
    return Dataset.from_pandas(table, subject_column="model", item_columns=list(table.columns[1:]))


def fit(data: Any, irt: str, seed: int, epochs: int, priors: str) -> dict[str, Any]:
    """Train; its 3PL has one set of priors whatever is asked for."""
    torch.manual_seed(seed)
    trainer = IrtModelTrainer(
        data_path=None, config=IrtConfig(model_type=irt, priors=priors), dataset=data, verbose=False
    )
    trainer.train(epochs=epochs, device="cpu")
    return trainer.best_params


def read(found: dict[str, Any], data: Any) -> dict[str, np.ndarray]:
    """Its export, which is keyed by the order of ids."""
    b = np.array(found["diff"])
    a = np.array(found["disc"]) if "disc" in found else np.ones_like(b)
    c = np.array(found["lambdas"]) if "lambdas" in found else np.zeros_like(b)
    return {"theta": np.array(found["ability"]), "a": a, "b": b, "c": c}
