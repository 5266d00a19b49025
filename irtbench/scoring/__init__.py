"""Questions and language models in, responses out: questions, framings, prompts, answers."""

from typing import TYPE_CHECKING

from irtbench._lazy import lazy_names

if TYPE_CHECKING:
    from irtbench.scoring.answers import Answers, make_answers
    from irtbench.scoring.collect import responses, summary
    from irtbench.scoring.engine.generation import Decoding, Generated, generate
    from irtbench.scoring.engine.language_models import LanguageModel, load_language_model
    from irtbench.scoring.fleet.fleets import Fleet, FleetModel
    from irtbench.scoring.fleet.reading import load_fleet
    from irtbench.scoring.framings import Framing, load_framing
    from irtbench.scoring.lm_eval_samples import write_samples
    from irtbench.scoring.metrics import METRICS, item_metrics, metric_table
    from irtbench.scoring.prompts import Prompt, make_prompts, prompts_fingerprint
    from irtbench.scoring.questions.question import Question, QuestionSet
    from irtbench.scoring.questions.reading import read_questions
    from irtbench.scoring.scored import Scored, score

__all__ = [
    "read_questions",
    "Question",
    "QuestionSet",
    "load_framing",
    "Framing",
    "make_prompts",
    "Prompt",
    "prompts_fingerprint",
    "load_language_model",
    "LanguageModel",
    "load_fleet",
    "Fleet",
    "FleetModel",
    "score",
    "Scored",
    "generate",
    "Decoding",
    "Generated",
    "Answers",
    "make_answers",
    "METRICS",
    "metric_table",
    "item_metrics",
    "responses",
    "summary",
    "write_samples",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "irtbench.scoring.answers": ("Answers", "make_answers"),
        "irtbench.scoring.collect": ("responses", "summary"),
        "irtbench.scoring.fleet.fleets": ("Fleet", "FleetModel"),
        "irtbench.scoring.fleet.reading": ("load_fleet",),
        "irtbench.scoring.framings": ("Framing", "load_framing"),
        "irtbench.scoring.engine.generation": ("Decoding", "Generated", "generate"),
        "irtbench.scoring.engine.language_models": ("LanguageModel", "load_language_model"),
        "irtbench.scoring.lm_eval_samples": ("write_samples",),
        "irtbench.scoring.metrics": ("METRICS", "item_metrics", "metric_table"),
        "irtbench.scoring.prompts": ("Prompt", "make_prompts", "prompts_fingerprint"),
        "irtbench.scoring.questions.question": ("Question", "QuestionSet"),
        "irtbench.scoring.questions.reading": ("read_questions",),
        "irtbench.scoring.scored": ("Scored", "score"),
    },
)
