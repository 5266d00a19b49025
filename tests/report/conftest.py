"""A small comparison with known numbers: one method better than the control, one worse, one the same."""

import numpy as np
import pandas as pd
import pytest

ERRORS = {
    "random + mean": 1.0,
    "random + p-irt": 0.5,
    "anchor-irt + p-irt": 0.5,
    "stratified + weighted": 1.6,
}


@pytest.fixture(scope="session")
def comparison():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.3, 0.8, 24)
    rows = []
    for split in range(6):
        test = rng.permutation(24)[:8]
        for seed in range(2):
            for size in (10, 40):
                for method, factor in ERRORS.items():
                    error = 0.4 * factor / np.sqrt(size) * rng.normal(size=8)
                    half = 1.64 * 0.4 * factor / np.sqrt(size)
                    rows += [
                        (
                            method,
                            size,
                            seed,
                            f"random-{split:02d}",
                            f"m{m}",
                            truth[m],
                            *(truth[m] + e + np.array([0, -half, half])),
                            16,
                        )
                        for m, e in zip(test, error, strict=True)
                    ]
    columns = [
        "method",
        "size",
        "seed",
        "split",
        "model",
        "truth",
        "score",
        "lower",
        "upper",
        "n_calibration",
    ]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="session")
def summary(comparison):
    from irtbench.compare import summarize

    return summarize(comparison)


@pytest.fixture(scope="session")
def simulation():
    from irtbench.irt import simulate

    return simulate(n_models=24, n_items=30, n_benchmarks=2, seed=1)


@pytest.fixture(scope="session")
def fitted(simulation):
    from irtbench.irt import fit

    return fit(simulation.responses, method="laplace")


@pytest.fixture(scope="session")
def subset(simulation, fitted):
    from irtbench.subsets import select

    return select(simulation.responses, 10, "anchor-irt", bank=fitted.bank)
