"""Compare an imported folder of lm-eval logs with the scores in its results files."""

import json

from irtbench.responses.readers.lm_eval import read_lm_eval


def score_table(folder):
    """(model, task, metric) → (lm-eval's score, ours), for every aggregate in the results files."""
    pairs = {}
    for file in sorted(folder.rglob("results_*.json")):
        results = json.loads(file.read_text())
        for task, scores in results["results"].items():
            for key, score in scores.items():
                metric, _, filter = key.partition(",")
                if filter and "stderr" not in metric:
                    part = read_lm_eval(folder, metric=metric).take([results["model_name"]], benchmark=task)
                    pairs[results["model_name"], task, metric] = (
                        score,
                        float(part.values.mean(dtype="float64")),
                    )
    return pairs
