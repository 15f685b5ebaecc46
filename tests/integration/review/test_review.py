"""People look at a run: a sample is drawn and marked; marks measure it, leave rows out, and hold a release up."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from flows.recipe.exclusions import load_excluded
from flows.report.tables import query_table
from flows.review.marks import MARKS, read_marks
from flows.review.released import shipped_rate
from flows.review.sample import SAMPLE, Drawn, Sample, Stratum, read_sample
from pipeline.errors import UsageError
from pipeline.records import Mark
from tests.support.curated import served, write_corpus
from tests.support.reviewed import LIGHT, command, ran


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("review") / "place")


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    return ran(place, "run")


def drawn(run: Path, name: str, *more: object) -> Path:
    command(
        "review",
        "sample",
        run,
        "--name",
        name,
        "--store",
        run.parent / "store",
        "--n",
        "12",
        "--per",
        "category",
        *more,
    )
    return run / "review" / name


def marked(directory: Path, annotator: int = 1, bad: Callable[[Drawn], bool] = lambda row: bool(row.reason)) -> Path:
    """A file of marks for a sample, as a page would save it."""
    sample = read_sample(directory)
    marks = [mark(row.item, "wrong_answer" if bad(row) else None) for row in sample.rows]
    return written(directory, annotator, {"schema": 1, "sample": sample.id, "annotator": annotator, "marks": marks})


def mark(item: str, defect: str | None) -> dict[str, Any]:
    return {"item": item, "mark": "defective" if defect else "good", "defect": defect, "comment": ""}


def written(directory: Path, annotator: int, content: object) -> Path:
    path = directory / f"marks-annotator-{annotator}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_sample_holds_kept_and_rejected_rows_with_their_probabilities(run: Path) -> None:
    sample = read_sample(drawn(run, "probabilities"))
    attempts = query_table(run, "SELECT record_id FROM outcomes WHERE stage = 'validate'").rows
    assert sum(sample.sizes.values()) == len(attempts)
    assert {stratum.fate for stratum in sample.strata} >= {"shipped", "rejected"}
    for stratum in sample.strata:
        rows = [row for row in sample.rows if row.stratum == stratum.name]
        assert len(rows) == stratum.drawn == round(stratum.probability * stratum.size)
    assert len(sample.rows) == 12


def test_equal_seeds_draw_equal_samples_and_another_seed_other_rows(run: Path) -> None:
    one, again, other = drawn(run, "one"), drawn(run, "again"), drawn(run, "other", "--seed", 1)
    assert (one / SAMPLE).read_bytes() == (again / SAMPLE).read_bytes()
    assert {row.record_id for row in read_sample(one).rows} != {row.record_id for row in read_sample(other).rows}
    said = command(
        *("review", "sample", run, "--name", "one", "--store", run.parent / "store", "--n", 13, "--per", "category"),
        code=2,
    )
    assert "another sample" in said


def test_what_is_handed_out_names_no_record_no_verdict_and_no_teacher(run: Path, tmp_path: Path) -> None:
    sample = read_sample(drawn(run, "blind", "--out", tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"annotator-1.html", "pictures"}
    page = (tmp_path / "annotator-1.html").read_text()
    teachers = {str(row[0]) for row in query_table(run, "SELECT DISTINCT model FROM trajectories").rows}
    strata = {stratum.name for stratum in sample.strata}
    told = [
        *teachers,
        *strata,
        *(row.record_id for row in sample.rows),
        *(row.reason for row in sample.rows if row.reason),
    ]
    assert [word for word in told if word in page] == []
    assert all(row.item in page for row in sample.rows)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--n", "3"), "raise it, or name fewer in --per"),
        (("--per", "colour"), "source, teacher, category, lane"),
        (("--per", "source,source"), "each once"),
        (("--name", "../up"), "--name ../up"),
        (("--store", "nowhere"), "--store"),
    ],
)
def test_a_sample_that_cannot_be_drawn_is_refused_by_what_helps(run: Path, flags: tuple[str, str], said: str) -> None:
    usual = {"--n": "12", "--per": "category", "--store": str(run.parent / "store"), "--name": "odd"}
    assert said in command("review", "sample", run, *sum({**usual, flags[0]: flags[1]}.items(), ()), code=2)


ODD: Mapping[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no JSON": (lambda _: "marks", "is no file of marks"),
    "cut": (lambda good: json.dumps(good)[:-9], "is no file of marks"),
    "no object": (lambda _: [], "is no file of marks"),
    "a field twice": (
        lambda good: json.dumps(good).replace('"schema": 1', '"schema": 1, "schema": 1'),
        "duplicate key",
    ),
    "another version": (lambda good: {**good, "schema": 2}, "schema"),
    "a field more": (lambda good: {**good, "verdict": "right"}, "verdict"),
    "an annotator in words": (lambda good: {**good, "annotator": "1"}, "annotator"),
    "annotator 0": (lambda good: {**good, "annotator": 0}, "annotator"),
    "an annotator too many": (lambda good: {**good, "annotator": 2}, "annotator 2 of 1"),
    "another sample": (lambda good: {**good, "sample": "f" * 64}, "samples there:"),
    "an item of elsewhere": (lambda good: {**good, "marks": [mark("<b>none</b>", None)]}, "is not in the sample"),
    "an item twice": (lambda good: {**good, "marks": [good["marks"][0]] * 2}, "marked twice"),
    "another word": (lambda good: {**good, "marks": [{**good["marks"][0], "mark": "so so"}]}, "marks.0.mark"),
    "another defect": (lambda good: {**good, "marks": [mark(good["marks"][0]["item"], "ugly")]}, "marks.0.defect"),
    "a defect of the good": (lambda good: {**good, "marks": [{**good["marks"][0], "defect": "other"}]}, "`defect`"),
    "a comment without end": (
        lambda good: {**good, "marks": [{**good["marks"][0], "comment": "x" * 10_001}]},
        "comment",
    ),
    "no text": (lambda good: {**good, "marks": [{**good["marks"][0], "comment": "\ud800"}]}, "is no file of marks"),
}
"""What somebody may make of a file of marks, and what of it is told."""


@pytest.mark.parametrize("case", ODD)
def test_an_odd_file_of_marks_is_refused_and_nothing_is_stored(run: Path, case: str) -> None:
    directory = drawn(run, "odd-files")
    good = json.loads(marked(directory, bad=lambda _: False).read_text())
    change, told = ODD[case]
    path = written(directory, 1, change(good))
    said = command("review", "import", run, path, code=2)
    assert str(path.name) in said
    assert told in said
    assert not (directory / MARKS).exists()


def test_two_files_of_one_annotator_and_files_of_two_samples_are_refused(run: Path, tmp_path: Path) -> None:
    first, second = drawn(run, "mine"), drawn(run, "yours", "--seed", 5)
    copied = tmp_path / "copied.json"
    copied.write_bytes(marked(first).read_bytes())
    assert "both of annotator 1" in command("review", "import", run, marked(first), copied, code=2)
    assert "2 samples" in command("review", "import", run, marked(first), marked(second), code=2)


def test_marks_give_rates_agreement_precision_and_recall(run: Path) -> None:
    directory = drawn(run, "measured", "--annotators", 2)
    sample = read_sample(directory)
    odd = next(row.item for row in sample.rows if not row.reason)
    first = marked(directory)
    command("review", "import", run, first)
    second = marked(directory, 2, lambda row: bool(row.reason) or row.item == odd)
    told = json.loads(command("review", "import", run, second, "--json"))
    assert told["marks"]["good"] + told["marks"]["defective"] == 2 * len(sample.rows)
    assert told["fates"]["rejected"]["share"] == 1.0
    assert 0 < told["fates"]["shipped"]["share"] < 0.5
    assert told["agreement"]["1 and 2"]["agreed"] == len(sample.rows) - 1
    assert told["caught"]["validate"]["precision"]["share"] == 1.0
    assert told["caught"]["validate"]["recall"]["share"] < 1.0
    size = {stratum.name: stratum for stratum in sample.strata}
    weight = {row.record_id: 1 / size[row.stratum].probability for row in sample.rows}
    bad = sum(weight[row.record_id] * (1.0 if row.reason else 0.5 * (row.item == odd)) for row in sample.rows)
    assert told["fates"]["all"]["share"] == pytest.approx(bad / sum(sample.sizes.values()))
    assert len(read_marks(directory)) == 2 * len(sample.rows)
    assert "Cohen's kappa" in command("review", "import", run, first)


def test_a_release_is_refused_until_a_review_allows_it(place: Path) -> None:
    run = ran(place, "released")
    demand = ("release", run, "--require", "defect_rate_high <= 0.6")
    assert "draw a sample with `coldforge review sample" in command(*demand, code=3)
    directory = drawn(run, "first")
    assert "no review of it holds any marks" in command(*demand, code=3)
    command("review", "import", run, marked(directory, bad=lambda _: True))
    assert "defect_rate_high <= 0.6 (it is 1)" in command(*demand, code=3)
    command("review", "import", run, marked(directory))
    assert "1 condition kept" in command(*demand)
    figures = json.loads(next((run / "release").glob("*/release.json")).read_text())["figures"]
    assert figures["defect_rate"] == 0.0 < figures["defect_rate_high"] <= 0.6
    changed = next(row.item for row in read_sample(directory).rows if not row.reason)
    command("review", "import", run, marked(directory, bad=lambda row: bool(row.reason) or row.item == changed))
    demand = ("release", run, "--require", "defect_rate_high < 1")
    command(*demand, "--name", "with")
    command("review", "import", run, marked(directory))
    assert "made before marks were imported" in command(*demand, "--name", "with", code=2)
    demand = ("release", run, "--require", "defect_rate_high <= 0.6")
    # The worst of several reviews counts, whoever would like the other one better.
    second = drawn(run, "second", "--seed", 3)
    command("review", "import", run, marked(second, bad=lambda _: True))
    assert "it is 1" in command(*demand, code=3)


def test_what_is_marked_is_left_out_and_the_rate_of_the_rest_is_not_taken_for_none(place: Path) -> None:
    run = ran(place, "before")
    directory = drawn(run, "marked")
    sample = read_sample(directory)
    fate = {stratum.name: stratum.fate for stratum in sample.strata}
    bad = next(row for row in sample.rows if fate[row.stratum] == "shipped")
    command("review", "import", run, marked(directory, bad=lambda row: row is bad or row.item == bad.item))
    again = ran(place, "before", select={**LIGHT["select"], "exclude": [f"before/review/marked/{MARKS}"]})
    (row,) = query_table(again, "SELECT record_id, outcome FROM outcomes WHERE reason = 'excluded'").rows
    assert row == (bad.record_id, "rejected")
    shipped = "SELECT count(*) FROM outcomes WHERE stage = 'publish' AND outcome = 'kept' AND record_id = '{}'"
    assert query_table(again, shipped.format(bad.record_id)).rows == ((0,),)
    command("release", again, "--require", "defect_rate_high < 1")
    figures = json.loads(next((again / "release").glob("*/release.json")).read_text())["figures"]
    assert figures["defect_rate_high"] > 0


def of_viewer(run: Path, *marks: Mapping[str, Any]) -> Path:
    path = run / "marks-viewer.json"
    path.write_text(json.dumps({"schema": 1, "run": "cellars", "marks": marks}))
    return path


def test_marks_of_the_viewer_leave_rows_out_and_measure_nothing(place: Path) -> None:
    run = ran(place, "looked")
    shipped = "SELECT record_id, question_id FROM outcomes WHERE stage = 'publish' AND unit = 'trajectory' ORDER BY 1"
    (bad, question), (good, other), *_ = query_table(run, shipped).rows
    said = {"trajectory": bad, "question": question, "mark": "defective", "defect": "bad_question", "comment": "no"}
    fine = {"trajectory": good, "question": other, "mark": "good", "defect": None, "comment": ""}
    path = of_viewer(run, said, fine)
    assert "was saved by the viewer" in command("review", "import", run, path, code=2)
    again = ran(place, "looked", select={**LIGHT["select"], "exclude": "looked/marks-viewer.json"})
    rows = query_table(again, "SELECT DISTINCT question_id FROM outcomes WHERE reason = 'excluded'").rows
    assert rows == ((question,),)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"trajectory": "x"}, "marks.0.trajectory"),
        ({"defect": None}, "`defect`"),
        ({"verdict": "right"}, "marks.0.verdict"),
        ({"comment": "x" * 10_001}, "marks.0.comment"),
    ],
)
def test_an_odd_file_of_the_viewer_is_refused_by_its_field(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    good = {"trajectory": "a" * 64, "question": "b" * 64, "mark": "defective", "defect": "other", "comment": ""}
    assert load_excluded([str(of_viewer(tmp_path, good))]) == ("a" * 64,)
    with pytest.raises(UsageError, match=told):
        load_excluded([str(of_viewer(tmp_path, {**good, **change}))])
    directory = tmp_path / "of a sample.json"
    directory.write_text(json.dumps({"schema": 1, "sample": "s", "annotator": 1, "marks": []}))
    with pytest.raises(UsageError, match=r"marks\.parquet"):
        load_excluded([str(directory)])


def test_a_review_says_nothing_of_rows_that_were_made_after_its_sample(place: Path) -> None:
    run = ran(place, "older")
    directory = drawn(run, "first")
    command("review", "import", run, marked(directory))
    models = {**LIGHT["models"], "teachers": [served("crane-large")]}
    newer = ran(place, "older", models=models)
    said = command("release", newer, "--require", "defect_rate <= 1", code=3)
    assert "rows were made after its samples were drawn; draw a sample" in said


def sampled(size: int, n: int) -> tuple[Sample, dict[str, str], list[str]]:
    """A sample of one stratum of shipped rows."""
    ids = [f"{number:064x}" for number in range(size)]
    rows = tuple(
        Drawn(item=one, record_id=one, question_id="q", stratum="s", reason="", filters={}, judge=None)
        for one in ids[:n]
    )
    stratum = Stratum(name="s", fate="shipped", size=size, drawn=n, probability=n / size)
    sample = Sample(id="i", seed=0, n=n, per=(), annotators=1, frame="f", strata=(stratum,), rows=rows)
    return sample, dict.fromkeys(ids, "s"), ids


def test_defects_that_were_found_and_taken_out_stand_for_others_that_are_still_there() -> None:
    sample, frame, ids = sampled(1_000, 100)
    bad = frozenset(ids[:10])
    marks = [
        Mark(
            record_id=one,
            question_id="q",
            sample="i",
            annotator=1,
            mark="defective" if one in bad else "good",
            defect="other" if one in bad else None,
            comment="",
        )
        for one in ids[:100]
    ]
    before = shipped_rate(sample, frame, marks, frozenset(ids), frozenset())
    after = shipped_rate(sample, frame, marks, frozenset(ids) - bad, bad)
    assert before.share == pytest.approx(0.1)
    assert after.share == pytest.approx((1_000 * 0.1 - 10) / 990)
    assert 0 < after.low < after.high < before.high


@pytest.mark.parametrize("defect", ["bad_question", "wrong_answer"])
def test_a_defect_of_the_question_takes_all_that_answers_it(defect: str) -> None:
    told = Mark.model_validate(
        {
            "record_id": "t",
            "question_id": "q",
            "sample": "i",
            "annotator": 1,
            "comment": "",
            "mark": "defective",
            "defect": defect,
        }
    )
    assert told.excludes == (("t", "q") if defect == "bad_question" else ("t",))


def test_what_is_no_id_and_no_file_of_marks_is_told_before_anything_runs(place: Path) -> None:
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        ran(place, "wrong", select={**LIGHT["select"], "exclude": "cellars.yaml"})
