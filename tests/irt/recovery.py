"""How near a fit comes to the truth it was simulated from."""

import numpy as np


def recovery(simulation, fit):
    """RMSEs against the truth on the calibration models' scale (mean 0, sd 1); coverages of 95 %."""
    theta = simulation.abilities["ability"].to_numpy()
    shift, scale = theta.mean(), theta.std()
    true_theta = (theta - shift) / scale
    true_b = (simulation.items["difficulty"].to_numpy() - shift) / scale
    true_log_a = np.log(simulation.items["discrimination"].to_numpy() * scale)
    mean, sd = fit.abilities["mean"].to_numpy(), fit.abilities["sd"].to_numpy()
    var = np.einsum("ijj->ij", fit.bank.cov)
    covered = {
        "theta": (mean - true_theta) / sd,
        "b": (fit.bank.loc[:, 1] - true_b) / np.sqrt(var[:, 1]),
        "log_a": (fit.bank.loc[:, 0] - true_log_a) / np.sqrt(np.maximum(var[:, 0], 1e-12)),
    }
    return {
        "p": rmse(fit.probability() - simulation.probability),
        "theta": rmse(mean - true_theta),
        "b": rmse(fit.bank.loc[:, 1] - true_b),
        "log_a": rmse(fit.bank.loc[:, 0] - true_log_a),
        **{f"cover_{k}": float((np.abs(z) < 1.96).mean()) for k, z in covered.items()},
    }


def rmse(x):
    return float(np.sqrt(np.mean(np.square(x))))
