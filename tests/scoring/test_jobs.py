"""Jobs: each done once, kept under a key of what decides it, the same to the bit however it came about."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scoring import fakes

import irtbench as ib
from irtbench.scoring.fleet import store
from irtbench.scoring.fleet.jobs import collect, make_groups, run_groups
from irtbench.scoring.fleet.tasks import Task


def run(groups, asked, **how):
    how = {"executor": "serial", "device": "cpu", "load": fakes.load, "prepare": fakes.prepare, **how}
    return run_groups(groups, asked, **how)


def dying(after):
    """A scorer that is interrupted after some batches."""

    def tamper(batches):
        for k, batch in enumerate(batches):
            if k == after:
                raise KeyboardInterrupt
            yield batch

    return tamper


@pytest.fixture
def asked():
    return fakes.tasks(23)


def test_answers_are_those_of_the_scorer(tmp_path, asked):
    groups = fakes.groups(tmp_path, asked)
    assert run(groups, asked) == {}
    found = list(collect(groups))
    assert [(m.name, j.task) for m, j, _ in found] == [("m0", 0), ("m0", 1), ("m1", 0), ("m1", 1)]
    for model, job, answers in found:
        prompts = asked[job.task].prompts
        assert list(answers.items.index) == [p.id for p in prompts]
        assert (answers.model, answers.framing) == (model.name, asked[job.task].framing)
        want = [fakes.loglik(model.name, p.prefix, p.stem, o) for p in prompts for o in p.options]
        assert list(answers.options["loglik"]) == want
        free = [
            np.nan if p.unconditional is None else fakes.loglik(model.name, "", p.unconditional, o)
            for p in prompts
            for o in p.options
        ]
        assert np.array_equal(answers.options["unconditional"], free, equal_nan=True)
        assert answers.items["dropped"].sum() == len(prompts) // 2


def test_a_model_is_loaded_once_for_all_its_jobs_and_not_at_all_when_they_are_done(tmp_path, asked):
    loaded = []

    def load(model, device):
        loaded.append((model.name, device))
        return fakes.load(model, device)

    groups = fakes.groups(tmp_path, asked, 3)
    run(groups, asked, load=load)
    run(groups, asked, load=load)
    assert loaded == [("m0", "cpu"), ("m1", "cpu"), ("m2", "cpu")]


def test_unconditional_prompts_are_scored_once(tmp_path, asked):
    log = tmp_path / "log"
    groups = fakes.groups(tmp_path / "store", asked, 1)
    run(groups, asked, prepare=fakes.preparer(log))
    free = [line for line in log.read_text().splitlines() if " Answer: " in line]
    assert len(free) == len({p.options for p in asked[1].prompts}) == 9


def test_the_executor_and_the_number_of_workers_change_no_bit(tmp_path, asked):
    for name, how in {
        "serial": {},
        "processes": {"executor": "processes", "workers": 2},
    }.items():
        run(fakes.groups(tmp_path / name, asked), asked, **how)
    assert fakes.results(tmp_path / "serial") == fakes.results(tmp_path / "processes")
    assert len(fakes.results(tmp_path / "serial")) == 4


def test_whatever_decides_a_result_gives_it_another_folder(tmp_path, asked):
    (group,) = fakes.groups(tmp_path, asked, 1)
    keys = {job.folder.key for job in group.jobs}
    others = [
        make_groups(
            replace(fakes.fleet(1), models=(replace(group.model, commit="f" * 40),)), asked, tmp_path
        ),
        make_groups(replace(fakes.fleet(1), models=(replace(group.model, id="lab/other"),)), asked, tmp_path),
        make_groups(fakes.fleet(1), asked, tmp_path, dtype="bfloat16"),
        make_groups(fakes.fleet(1), [replace(t, about={"prompts": "0"}) for t in asked], tmp_path),
    ]
    assert len(keys) == 2
    for (other,) in others:
        assert not keys & {job.folder.key for job in other.jobs}


def test_one_models_answers_never_serve_another(tmp_path, asked):
    groups = fakes.groups(tmp_path, asked)
    run(groups[:1], asked)
    assert [m.name for m, *_ in collect(groups)] == ["m0", "m0"]
    renamed = replace(groups[0].model, name="alias")  # the same weights under another name are the same model
    (same,) = make_groups(replace(fakes.fleet(1), models=(renamed,)), asked, tmp_path)
    assert {j.folder.key for j in same.jobs} == {j.folder.key for j in groups[0].jobs}


def test_a_damaged_result_is_reported_and_scored_again(tmp_path, asked):
    groups = fakes.groups(tmp_path, asked, 1)
    run(groups, asked)
    before = fakes.results(tmp_path)
    path = groups[0].jobs[0].folder.answers
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    log = tmp_path / "log"
    with pytest.warns(ib.DataWarning, match="damaged") as caught:
        run(groups, asked, prepare=fakes.preparer(log))
    assert str(path) in str(caught[0].message)
    assert {line.split()[2] for line in log.read_text().splitlines()} == {"sums"}
    log.unlink()
    assert fakes.results(tmp_path) == before


def test_a_damaged_journal_is_reported_and_its_batches_scored_again(tmp_path, asked):
    want = tmp_path / "want"
    run(fakes.groups(want, asked, 1), asked)
    groups = fakes.groups(tmp_path / "store", asked, 1)

    with pytest.raises(KeyboardInterrupt):
        run(groups, asked, prepare=fakes.preparer(tamper=dying(4)))
    journal = groups[0].jobs[0].folder.journal
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 1
    journal.write_bytes(data)
    with pytest.warns(ib.DataWarning, match="damaged at byte"):
        run(groups, asked)
    assert fakes.results(tmp_path / "store") == fakes.results(want)


def test_a_lost_or_damaged_manifest_means_the_job_is_done_again(tmp_path, asked):
    groups = fakes.groups(tmp_path, asked, 1)
    run(groups, asked)
    before = fakes.results(tmp_path)
    first, second = (job.folder.manifest for job in groups[0].jobs)
    first.unlink()
    second.write_text('{"key": "cut sho')
    run(groups, asked)
    assert fakes.results(tmp_path) == before
    assert json.loads(second.read_text())["key"] == groups[0].jobs[1].folder.key


def test_the_manifest_says_what_decided_and_how_it_went(tmp_path, asked):
    groups = fakes.groups(tmp_path, asked, 1)
    run(groups, asked)
    job = groups[0].jobs[1]
    content = json.loads(job.folder.manifest.read_text())
    assert content["decides"] == {
        "scoring": store.SCORING,
        "model": {"id": "lab/m0", "commit": "0" * 40},
        "dtype": "float32",
        "prompts": asked[1].about["prompts"],
    }
    assert content["run"]["items"] == 23
    assert content["run"]["tokens"] == 100 * (23 + 9)
    assert sorted(p.name for p in job.folder.path.iterdir()) == [".lock", "answers.parquet", "job.json"]


def test_a_plan_that_changed_starts_the_job_over(tmp_path, asked):
    groups = fakes.groups(tmp_path / "store", asked, 1)

    with pytest.raises(KeyboardInterrupt):
        run(groups, asked, prepare=fakes.preparer(tamper=dying(1)))
    run(groups, asked, budget=3)  # other batches: the numbers of the old ones mean nothing now
    run(fakes.groups(tmp_path / "want", asked, 1), asked)
    assert fakes.results(tmp_path / "store") == fakes.results(tmp_path / "want")


@pytest.mark.parametrize("full", ["journal", "answers"])
def test_a_full_disk_is_one_clear_error_and_the_run_goes_on_later(tmp_path, asked, full, monkeypatch):
    import errno
    import os

    from irtbench.scoring.answers import Answers
    from irtbench.scoring.fleet import journal

    room = 700

    def write(file, data):
        nonlocal room
        if room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room -= len(data)
        return os.write(file, data)

    def save(self, path):
        path.write_bytes(b"half a file")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    groups = fakes.groups(tmp_path / "store", asked, 1)
    with monkeypatch.context() as patch:
        if full == "journal":
            patch.setattr(journal.Journal.__init__, "__defaults__", (write,))
        else:
            patch.setattr(Answers, "save", save)
        with pytest.raises(ib.InputError, match=r"no space left .*; make room"):
            run(groups, asked)
    assert list((tmp_path / "store").rglob("*.tmp")) == []
    assert fakes.results(tmp_path / "store") == {}
    log = tmp_path / "log"
    run(groups, asked, prepare=fakes.preparer(log))
    if full == "answers":  # everything of the first job was in its journal
        assert {line.split()[2] for line in log.read_text().splitlines()} == {"facts"}
    run(fakes.groups(tmp_path / "want", asked, 1), asked)
    assert fakes.results(tmp_path / "store") == fakes.results(tmp_path / "want")


def test_models_that_cannot_be_loaded_do_not_stop_the_others(tmp_path, asked):
    def load(model, device):
        if model.name == "m1":
            raise ib.InputError("no tokenizer")
        return fakes.load(model, device)

    groups = fakes.groups(tmp_path, asked, 3)
    assert run(groups, asked, load=load) == {"m1": "no tokenizer"}
    assert {m.name for m, *_ in collect(groups)} == {"m0", "m2"}


def test_jobs_of_another_process_are_left_to_it(tmp_path, asked):
    groups = fakes.groups(tmp_path, asked, 2)
    with store.lease(groups[0].jobs[0].folder) as ours:
        assert ours
        run(groups, asked, wait=False)
        assert {(m.name, j.task) for m, j, _ in collect(groups)} == {("m0", 1), ("m1", 0), ("m1", 1)}
        with store.lease(groups[0].jobs[0].folder) as twice:
            assert not twice
    run(groups, asked, wait=False)
    assert len(list(collect(groups))) == 4


def test_a_scorer_that_leaves_items_out_is_an_error(tmp_path, asked):
    forgetful = fakes.preparer(tamper=lambda batches: list(batches)[1:])
    with pytest.raises(RuntimeError, match="left out 5 of 23"):
        run(fakes.groups(tmp_path, asked, 1), asked, prepare=forgetful)
    assert fakes.results(tmp_path) == {}


def test_sets_and_framings_of_one_name_are_refused():
    from irtbench.scoring.fleet.tasks import make_tasks
    from irtbench.scoring.framings import load_framing
    from irtbench.scoring.questions.question import Question, QuestionSet

    sums = QuestionSet("sums", (Question("q1", "1 + 1?", ("1", "2"), 1),))
    framing = load_framing("completion")
    (task,) = make_tasks([sums], [framing], limit=1)
    assert isinstance(task, Task)
    with pytest.raises(ib.InputError, match="two question sets"):
        make_tasks([sums, sums], [framing])
    with pytest.raises(ib.InputError, match="two framings"):
        make_tasks([sums], [framing, framing])
