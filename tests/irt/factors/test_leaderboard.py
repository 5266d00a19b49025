"""A real leaderboard needs more than one ability."""

import pytest
from shared import SHARED, needs_shared

import irtbench as ib
from irtbench.irt import fit_factors
from irtbench.irt.factors import dimensionality


@needs_shared
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::irtbench.errors.DataWarning")
def test_open_llm_leaderboard_v2():
    R = ib.read(SHARED / "data" / "openllm_v2" / "responses.parquet")
    table = dimensionality(R, 3)
    # held-out log-loss .3147, .2992, .2926: gains of .0155 ± .0011 and .0066 ± .0006
    assert (table["gain"] > 5 * table["gain_se"]).iloc[1:].all()
    assert table["gain"][2] == pytest.approx(0.0155, abs=0.003)
    fit = fit_factors(R, by="benchmark", method="laplace")
    phi = fit.correlation
    # by scores (Spearman): ifeval-musr .40, arc-math .71; abilities correlate more than noisy scores
    assert phi.loc["arc_challenge", "math_hard"] > 0.7
    assert 0.4 < phi.loc["ifeval", "math_hard"] < 0.65
