"""The paper, runnable: how large is the noise, which benchmark shows progress, is a difference real?

After Madaan et al. (2024), Quantifying Variance in Evaluation Benchmarks, https://arxiv.org/abs/2406.10229
"""

from typing import TYPE_CHECKING

from irtbench._lazy import lazy_names

if TYPE_CHECKING:
    from irtbench.variance.agreement import agreement_by_gap, mdad
    from irtbench.variance.component_table import component_report
    from irtbench.variance.components import variance_components
    from irtbench.variance.crossing_points import crossings
    from irtbench.variance.curve_tables import curve_table
    from irtbench.variance.decisions import compare_recipes, compare_runs
    from irtbench.variance.design_effect import seed_design_effect
    from irtbench.variance.difference import Difference
    from irtbench.variance.halves import one_run_each, statistics_by_half
    from irtbench.variance.intervals import item_interval, joint_interval, paired_interval
    from irtbench.variance.item_analysis import item_statistics
    from irtbench.variance.monotonicity import monotonicity_of
    from irtbench.variance.multiplicity import adjusted
    from irtbench.variance.ordering import decision_accuracy, decision_accuracy_by_step
    from irtbench.variance.power import items_needed, minimum_detectable_effect, power_of, seeds_needed
    from irtbench.variance.pruning import pruning_sweep
    from irtbench.variance.runs import Runs, curves, runs_of
    from irtbench.variance.seeds import above_chance, seed_variance
    from irtbench.variance.signal import (
        checkpoint_noise,
        signal_and_noise,
        snr,
    )
    from irtbench.variance.stability import split_stability
    from irtbench.variance.standard_errors import clustered_se, generation_noise, standard_error
    from irtbench.variance.subset import SubsetVariance, random_estimates, subset_variance
    from irtbench.variance.table import variance_report
    from irtbench.variance.tiers import leaderboard, pairwise
    from irtbench.variance.verdicts import decide
    from irtbench.variance.view_pairs import Views, compare_views
    from irtbench.variance.views import agreement_of_views, crossover, views_by_benchmark

__all__ = [
    "Runs",
    "runs_of",
    "curves",
    "seed_variance",
    "seed_design_effect",
    "above_chance",
    "variance_components",
    "item_interval",
    "joint_interval",
    "paired_interval",
    "standard_error",
    "clustered_se",
    "generation_noise",
    "monotonicity_of",
    "snr",
    "signal_and_noise",
    "checkpoint_noise",
    "decision_accuracy",
    "decision_accuracy_by_step",
    "variance_report",
    "component_report",
    "Difference",
    "compare_recipes",
    "compare_runs",
    "decide",
    "leaderboard",
    "pairwise",
    "items_needed",
    "minimum_detectable_effect",
    "power_of",
    "seeds_needed",
    "adjusted",
    "agreement_of_views",
    "crossover",
    "crossings",
    "Views",
    "compare_views",
    "views_by_benchmark",
    "curve_table",
    "item_statistics",
    "split_stability",
    "statistics_by_half",
    "one_run_each",
    "pruning_sweep",
    "SubsetVariance",
    "random_estimates",
    "subset_variance",
    "agreement_by_gap",
    "mdad",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "irtbench.variance.agreement": (
            "agreement_by_gap",
            "mdad",
        ),
        "irtbench.variance.components": ("variance_components",),
        "irtbench.variance.view_pairs": ("Views", "compare_views"),
        "irtbench.variance.crossing_points": ("crossings",),
        "irtbench.variance.curve_tables": ("curve_table",),
        "irtbench.variance.halves": (
            "one_run_each",
            "statistics_by_half",
        ),
        "irtbench.variance.design_effect": ("seed_design_effect",),
        "irtbench.variance.difference": ("Difference",),
        "irtbench.variance.ordering": (
            "decision_accuracy",
            "decision_accuracy_by_step",
        ),
        "irtbench.variance.decisions": (
            "compare_recipes",
            "compare_runs",
        ),
        "irtbench.variance.views": (
            "agreement_of_views",
            "crossover",
            "views_by_benchmark",
        ),
        "irtbench.variance.intervals": (
            "item_interval",
            "joint_interval",
            "paired_interval",
        ),
        "irtbench.variance.item_analysis": ("item_statistics",),
        "irtbench.variance.stability": ("split_stability",),
        "irtbench.variance.monotonicity": ("monotonicity_of",),
        "irtbench.variance.multiplicity": ("adjusted",),
        "irtbench.variance.power": (
            "items_needed",
            "minimum_detectable_effect",
            "power_of",
            "seeds_needed",
        ),
        "irtbench.variance.pruning": ("pruning_sweep",),
        "irtbench.variance.runs": (
            "Runs",
            "curves",
            "runs_of",
        ),
        "irtbench.variance.seeds": (
            "above_chance",
            "seed_variance",
        ),
        "irtbench.variance.signal": (
            "checkpoint_noise",
            "signal_and_noise",
            "snr",
        ),
        "irtbench.variance.standard_errors": (
            "clustered_se",
            "generation_noise",
            "standard_error",
        ),
        "irtbench.variance.subset": (
            "SubsetVariance",
            "random_estimates",
            "subset_variance",
        ),
        "irtbench.variance.component_table": ("component_report",),
        "irtbench.variance.table": ("variance_report",),
        "irtbench.variance.tiers": (
            "leaderboard",
            "pairwise",
        ),
        "irtbench.variance.verdicts": ("decide",),
    },
)
