from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from PIL import Image
from pydantic import ValidationError
from typer.testing import CliRunner

from flows.cli.card import card, made
from flows.cli.main import make_app
from flows.publishing.check import check_card
from flows.publishing.fields import MEANINGS
from flows.recipe.recipe import DatasetUse
from pipeline.errors import CheckError, UsageError
from pipeline.export.formats.huggingface import RL_SCHEMA, SFT_SCHEMA
from pipeline.export.verify.exports import verify_exports
from tests.support.card_numbers import numbers_of, numbers_said, query, rows, tables
from tests.support.carded import carded_run

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = carded_run(tmp_path_factory.mktemp("carded"))
    card(run)
    return run


@pytest.fixture
def run(made_once: Path, tmp_path: Path) -> Path:
    """A run with its card that may be damaged."""
    copy = tmp_path / "run"
    shutil.copytree(made_once, copy)
    return copy


def page(run: Path) -> str:
    return (run / "export" / "README.md").read_text()


def head(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(page(run).split("---\n")[1])
    return found


def faults(run: Path) -> list[str]:
    facts, files = made(run)
    return [str(fault) for fault in check_card(facts, files, run / "export")]


def test_a_card_may_be_published_and_the_exports_beside_it_are_as_they_were(made_once: Path) -> None:
    assert faults(made_once) == []
    assert verify_exports(made_once / "export").ok
    card(made_once, check=True)


def test_the_next_command_that_a_card_names_works_as_it_is_printed(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    card(run)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("next: coldforge "))
    done = CliRunner().invoke(make_app(), shlex.split(line.removeprefix("next: coldforge ")))
    assert done.exit_code == 0, done.output
    assert "would send to hf://OWNER/NAME, private" in done.output


def test_who_publishes_is_said_in_the_recipe_and_makes_the_citation_title_and_contact(run: Path) -> None:
    before = page(run)
    assert "pretty_name: cellars\n" in before
    assert "author" not in before.split("## Citation")[1]
    recipe = run / "recipe.yaml"
    said = yaml.safe_load(recipe.read_text())
    said["dataset"] = {
        "title": "What stands in cellars",
        "authors": ["Ada Miller", "Bo Weaver"],
        "contact": "cellars@publisher.example",
        "url": "https://publisher.example/cellars",
        "description": "Cellars, and <b>what</b> stands in them.",
        "year": 2026,
    }
    recipe.write_text(yaml.safe_dump(said))
    assert faults(run), "a card that says it otherwise is stale"
    card(run)
    assert faults(run) == []
    assert head(run)["pretty_name"] == "What stands in cellars"
    assert "\n# What stands in cellars\n\nCellars, and &lt;b&gt;what&lt;/b&gt; stands in them.\n\n" in page(run)
    told = page(run).split("## Citation")[1]
    for line in (
        "title        = {What stands in cellars},",
        "author       = {Ada Miller and Bo Weaver},",
        "year         = {2026},",
        "url          = {https://publisher.example/cellars},",
        "Contact: cellars@publisher.example.",
    ):
        assert line in told
    described = json.loads((run / "export" / "croissant.json").read_text())
    assert described["citeAs"] in told


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": "a } b"},
        {"authors": ["a\\b"]},
        {"url": "javascript:x"},
        {"contact": "a\nb"},
        {"title": " "},
        {"by": "x"},
    ],
)
def test_what_a_citation_cannot_hold_is_refused_by_the_recipe(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DatasetUse.model_validate(wrong)


def test_only_the_card_may_lie_beside_exports_and_no_link_in_its_place(run: Path, tmp_path: Path) -> None:
    (run / "export" / "notes.md").write_text("mine")
    (run / "export" / "README.md").rename(tmp_path / "elsewhere.md")
    (run / "export" / "README.md").symlink_to(tmp_path / "elsewhere.md")
    assert {problem.file for problem in verify_exports(run / "export").problems} == {"notes.md", "README.md"}


def test_a_card_to_be_looked_at_elsewhere_changes_nothing_of_the_run(run: Path, tmp_path: Path) -> None:
    (run / "export" / "README.md").unlink()
    before = set((run / "export").rglob("*"))
    card(run, out=tmp_path / "shown" / "page.md")
    assert (tmp_path / "shown" / "card" / "sft-example-1.png").is_file()
    assert (tmp_path / "shown" / "page.md").read_text().startswith("---\n")
    assert set((run / "export").rglob("*")) == before
    with pytest.raises(UsageError, match="--check looks at the card of the run itself"):
        card(run, out=tmp_path / "page.md", check=True)


def test_equal_runs_have_equal_cards_whatever_the_process(made_once: Path) -> None:
    job = (
        "import sys, hashlib; from pathlib import Path; from flows.cli.card import made\n"
        "for path, content in sorted(made(Path(sys.argv[1]))[1].items()):\n"
        "    print(path, hashlib.sha256(content).hexdigest())"
    )
    _, files = made(made_once)
    here = [f"{path} {hashlib.sha256(content).hexdigest()}" for path, content in sorted(files.items())]
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", job, str(made_once)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == here


def test_no_version_date_or_place_of_this_machine_is_in_a_card(made_once: Path) -> None:
    _, files = made(made_once)
    texts = b"\n".join(content for path, content in files.items() if not path.endswith(".png")).decode()
    assert not re.search(r"\b20\d\d-\d\d|\bPython 3|datasets==|/tmp/|/home/", texts)
    assert str(made_once.parent) not in texts


def test_every_number_of_a_card_is_one_that_ledger_and_exports_give(made_once: Path) -> None:
    known = numbers_of(made_once)
    found = list(numbers_said(page(made_once)))
    assert len(found) > 150
    assert [(number, line) for number, line in found if number not in known] == []


def test_the_funnel_of_a_card_is_that_of_the_ledger(made_once: Path) -> None:
    lines = re.findall(
        r"^\| (\w+) +\| (row|question|trajectory) +\| +(\d+) \| +(\d+) \|", page(made_once), re.MULTILINE
    )
    counted = query(
        made_once,
        "SELECT o.stage, o.unit, count(*)::VARCHAR, (count(*) FILTER (outcome = 'kept'))::VARCHAR FROM outcomes o "
        "JOIN stages s USING (stage) "
        "GROUP BY o.stage, o.unit, s.position ORDER BY s.position, o.unit",
    )
    assert lines == counted


def test_tables_of_a_card_say_what_ledger_and_rows_say(made_once: Path) -> None:
    told, sft, rl = tables(page(made_once)), rows(made_once, "sft"), rows(made_once, "rl")
    ids = {row["id"] for row in sft}
    lanes = Counter((row["lane"], row["category"]) for row in sft)
    mix = told["lane; category; rows; of rows; loss tokens; of loss tokens"]
    assert {(lane, category): int(n) for lane, category, n, *_ in mix} == lanes
    calls = query(made_once, "SELECT trajectory_id, action, status FROM turns WHERE action NOT IN ('answer', 'none')")
    ended = Counter(call[1:] for call in calls if call[0] in ids)
    assert {(tool, how): int(n) for tool, how, n in told["tool, in sft; how its call ended; calls"]} == ended
    asked = dict(query(made_once, "SELECT model, count(*) FROM trajectories GROUP BY model"))
    judged = dict(query(made_once, "SELECT model, sum(len(votes))::INT FROM votes GROUP BY model"))
    assert {model: int(n) for _, model, n in told["part; model and revision; samples"]} == {**asked, **judged}
    (licence,) = told["licence; on the hub; rows of sft; rows of rl; text"]
    assert licence[:4] == ["CC0-1.0", "cc0-1.0", str(len(sft)), str(len(rl))]
    stopped = query(
        made_once,
        "SELECT stage, unit, outcome, reason, count(*)::VARCHAR FROM outcomes WHERE outcome <> 'kept' GROUP BY ALL",
    )
    assert {tuple(line) for line in told["stage; unit; outcome; reason; records"]} == set(stopped)
    written = {
        f"{path.parent.relative_to(made_once / EXPORT)}/": json.loads(path.read_text())["rows"]
        for path in (made_once / EXPORT).glob("*/*/manifest.json")
    }
    assert {folder: int(n) for folder, _, n in told["folder; for; rows"]} == written


def test_sentences_of_a_card_say_what_ledger_and_rows_say(made_once: Path) -> None:
    body, sft, rl = page(made_once), rows(made_once, "sft"), rows(made_once, "rl")
    ids = {row["id"] for row in sft}
    shown = [n for identity, n in query(made_once, "SELECT trajectory_id, n_images FROM turns") if identity in ids]
    assert f"Tools showed {sum(shown)} pictures." in body
    again: dict[str, list[int]] = {}
    for identity, verdict, cells in query(made_once, "SELECT trajectory_id, verdict, cells FROM replays"):
        if identity in ids:
            again.setdefault(verdict, []).append(cells)
    for verdict, ran in again.items():
        executed = sum(n > 0 for n in ran)
        assert f"outcome `{verdict}`: {len(ran)} rows, {executed} of them with code, {sum(ran)} cells." in body
    pictures = [{image["bytes"] for row in of for image in row["images"]} for of in (sft, rl)]
    assert f"{len(pictures[0] & pictures[1])} of {len(pictures[1])} pictures of RL stand in SFT as well" in body
    majority = dict(query(made_once, "SELECT question_id, is_majority FROM labels"))
    for shard, asked in (("sft", [row["question_id"] for row in sft]), ("rl", [row["id"] for row in rl])):
        told = [majority[question] for question in asked if majority[question] is not None]
        assert f"**Guessing in `{shard}`.** {sum(told)} of {len(told)} rows" in body


def test_configurations_load_by_name_and_the_default_is_sft(made_once: Path, tmp_path: Path) -> None:
    import datasets

    for name, shard in ((None, "sft"), ("sft", "sft"), ("rl", "rl")):
        found = datasets.load_dataset(str(made_once / "export"), name, split="train", cache_dir=str(tmp_path))
        assert [row["id"] for row in found] == [row["id"] for row in rows(made_once, shard)]
        assert all(isinstance(image, Image.Image) for row in found for image in row["images"])
    assert [config["config_name"] for config in head(made_once)["configs"]] == ["sft", "rl"]


def test_a_set_that_is_split_by_licence_has_a_configuration_for_each(tmp_path: Path) -> None:
    import datasets

    run = carded_run(tmp_path, export={"rl": ["huggingface"], "split_by_licence": True})
    card(run)
    assert [config["config_name"] for config in head(run)["configs"]] == ["sft", "sft-cc0-1.0", "rl", "rl-cc0-1.0"]
    found = datasets.load_dataset(str(run / "export"), "sft-cc0-1.0", split="train", cache_dir=str(tmp_path / "cache"))
    assert len(found) == len(rows(run, "sft"))
    assert faults(run) == []


def test_a_validation_split_is_a_split_of_its_configuration(tmp_path: Path) -> None:
    import datasets
    import mlcroissant as mlc

    run = carded_run(tmp_path, export={"rl": ["huggingface"], "validation": 0.4})
    card(run)
    assert faults(run) == []
    cache = str(tmp_path / "cache")
    found = datasets.load_dataset(str(run / "export"), "sft", cache_dir=cache)
    assert set(found) == {"train", "validation"}
    assert sorted(row["id"] for split in found.values() for row in split) == sorted(r["id"] for r in rows(run, "sft"))
    told = Counter(
        record["sft/split"].decode() for record in mlc.Dataset(jsonld=run / "export" / "croissant.json").records("sft")
    )
    assert told == {split: len(of) for split, of in found.items()}
    for split, n in told.items():
        assert re.search(rf"^\| `sft` +\| `{split}` +\| +{n} \|", page(run), re.MULTILINE)


def test_a_set_of_texts_alone_has_a_card_without_pictures_and_without_rl(tmp_path: Path) -> None:
    run = carded_run(tmp_path, sources=[{"source": "texts.yaml"}], benchmarks=[], search=None)
    card(run)
    assert faults(run) == []
    assert [config["config_name"] for config in head(run)["configs"]] == ["sft"]
    assert "visual-question-answering" not in head(run)["task_categories"]
    assert list((run / "export" / "card").glob("*.png")) == []
    for words in ("No benchmark was looked for", "The set has one shard"):
        assert words in page(run)


def test_every_column_of_an_export_has_a_meaning() -> None:
    assert set(SFT_SCHEMA.names) | set(RL_SCHEMA.names) <= MEANINGS.keys()


def test_prompts_stand_beside_the_card_as_models_were_told_them(made_once: Path) -> None:
    manifest = json.loads((made_once / "export" / "sft" / "huggingface" / "manifest.json").read_text())
    for role, sha256 in manifest["prompts"].items():
        text = (made_once / "export" / "card" / "prompts" / f"{role.replace('/', '-')}.md").read_text()
        assert sha256 in text
    told = {(told["system"], told["name"]) for told in manifest["told"]}
    for system, name in told:
        assert system in (made_once / "export" / "card" / "prompts" / f"{name.replace('/', '-')}.md").read_text()
    (judged,) = query(made_once, "SELECT DISTINCT prompt FROM votes WHERE asked = 'answer'")
    assert judged[0] in (made_once / "export" / "card" / "prompts" / "judge-answer.md").read_text()


def test_a_prompt_that_was_changed_since_is_not_told_as_that_of_the_run(
    run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    (tmp_path / "manifests" / "prompts" / "deepeyesv2" / "teacher_guidance.md").write_text("Look thrice.")
    monkeypatch.setattr("pipeline.prompts.sets.manifests_dir", lambda: tmp_path / "manifests")
    with pytest.raises(UsageError, match="prompt teacher/tools was changed"):
        made(run)


def test_the_example_is_a_row_of_the_set_with_its_pictures_made_small(made_once: Path) -> None:
    shown = re.search(r"Row `([0-9a-f]{16})…` of `sft`", page(made_once))
    assert shown is not None
    (row,) = (row for row in rows(made_once, "sft") if row["id"].startswith(shown[1]))
    assert row["messages"][-1]["content"] in page(made_once)
    pictures = sorted((made_once / "export" / "card").glob("sft-example-*.png"))
    assert len(pictures) == min(3, len(row["images"])) > 0
    assert all(max(Image.open(path).size) <= 640 for path in pictures)


def test_croissant_is_valid_and_gives_the_rows(made_once: Path) -> None:
    import mlcroissant as mlc

    found = mlc.Dataset(jsonld=made_once / "export" / "croissant.json")
    assert found.metadata.ctx.issues.errors == set()
    # When it is published is not of the data.
    assert {warning for warning in found.metadata.ctx.issues.warnings if "datePublished" not in warning} == set()
    for shard, column in (("sft", "messages"), ("rl", "prompt")):
        records = list(found.records(shard))
        expected = rows(made_once, shard)
        assert [record[f"{shard}/id"].decode() for record in records] == [row["id"] for row in expected]
        assert {record[f"{shard}/split"] for record in records} == {b"train"}
        for record, row in zip(records, expected, strict=True):
            told = [message[f"{shard}/{column}/content"].decode() for message in record[f"{shard}/{column}"]]
            assert told == [message["content"] for message in row[column]]
            assert [image.size for image in record[f"{shard}/images"] or []] == [
                Image.open(io.BytesIO(image["bytes"])).size for image in row["images"]
            ]


def test_croissant_says_what_every_file_must_hold_and_the_fields_of_responsible_ai(made_once: Path) -> None:
    said = json.loads((made_once / "export" / "croissant.json").read_text())
    assert said["conformsTo"][0] == "http://mlcommons.org/croissant/1.1"
    for file in said["distribution"]:
        if file["@type"] == "cr:FileObject":
            content = (made_once / "export" / file["contentUrl"]).read_bytes()
            assert file["sha256"] == hashlib.sha256(content).hexdigest()
    named = {key for key in said if key.startswith("rai:")}
    assert {
        "rai:dataCollection",
        "rai:dataBiases",
        "rai:dataLimitations",
        "rai:personalSensitiveInformation",
        "rai:dataUseCases",
    } <= named


Damage = Callable[[Path], object]
EXPORT = "export"


def edited(old: str, new: str, path: str = "README.md") -> Damage:
    def damage(run: Path) -> None:
        file = run / EXPORT / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    return damage


DAMAGES: dict[str, tuple[Damage, str]] = {
    "no card": (lambda run: (run / EXPORT / "README.md").unlink(), "README.md: is missing"),
    "no picture": (
        lambda run: (run / EXPORT / "card" / "sft-example-1.png").unlink(),
        "card/sft-example-1.png: is missing",
    ),
    "no croissant": (lambda run: (run / EXPORT / "croissant.json").unlink(), "croissant.json: is missing"),
    "another file": (
        lambda run: (run / EXPORT / "card" / "mine.txt").write_text("x"),
        "card/mine.txt: is no file of the card",
    ),
    "other numbers": (edited("**15 transcripts**", "**99 transcripts**"), "README.md: is not what these exports give"),
    "another prompt": (
        edited("##", "## #", "card/prompts/export-tools.md"),
        "card/prompts/export-tools.md: is not what",
    ),
    "to do": (edited("Meant for", "TODO: say what for"), "holds 'TODO'"),
    "needed": (edited("None was found.", "[More Information Needed]"), "holds '[More Information Needed]'"),
    "an empty section": (edited("## Use\n", "## Use\n\n## Thanks\n"), "section Use: is empty"),
    "an empty end": (edited("## Citation", "## Nothing\n\n## Citation"), "section Nothing: is empty"),
    "an unknown licence": (edited("license: cc0-1.0", "license: cc0"), "license 'cc0' is not on the hub's list"),
    "no licence": (edited("license: cc0-1.0\n", ""), "front matter: lacks what the hub reads"),
    "no configurations": (edited("configs:\n", "confs:\n"), "front matter: lacks what the hub reads"),
    "another file of a configuration": (edited("data/train-", "data/other-"), "is no file of this folder"),
    "a file outside": (
        edited("path: sft/huggingface/data/", "path: ../sft/huggingface/data/"),
        "is no file of this folder",
    ),
    "no front matter": (edited("---\n", ""), "has no front matter"),
    "no YAML": (edited("pretty_name: cellars", "pretty_name: [cellars"), "front matter: is not YAML"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_card_that_is_not_whole_or_not_of_these_exports_is_not_published(
    run: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, words = DAMAGES[name]
    damage(run)
    with pytest.raises(CheckError):
        card(run, check=True)
    assert words in capsys.readouterr().out


@pytest.mark.parametrize("shard", ["sft", "rl"])
def test_a_data_file_that_cannot_be_read_is_told_in_a_sentence(run: Path, shard: str) -> None:
    (data,) = (run / EXPORT / shard / "huggingface" / "data").glob("*.parquet")
    data.write_bytes(data.read_bytes()[:-100])
    with pytest.raises(UsageError, match=f"configuration {shard}: its files cannot be read.*coldforge verify"):
        card(run)


def test_placeholders_in_code_of_a_row_are_not_those_of_the_card(run: Path) -> None:
    edited("print(image_1", "# TODO\nprint(image_1")(run)
    assert faults(run) == ["README.md: is not what these exports give; `coldforge card RUN` writes it anew"]


def test_exports_that_were_written_anew_need_a_new_card(run: Path) -> None:
    manifest = run / EXPORT / "sft" / "huggingface" / "manifest.json"
    said = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**said, "content": "0" * 64}))
    assert {line.split(":")[0] for line in faults(run)} == {"README.md", "croissant.json"}
    card(run)
    assert faults(run) == []


OPEN: dict[str, tuple[dict[str, Any], str]] = {
    "attribution": ({"attribution": ""}, "manifest of source cellars, field attribution: is empty"),
    "placeholder": ({"attribution": "TODO"}, "manifest of source cellars, field attribution: holds 'TODO'"),
    "address": ({"source_url": "the attic"}, "manifest of source cellars, field source_url: 'the attic' is no address"),
    "licence": ({"licence": "unknown"}, "manifest of source cellars, field licence: "),
    "pictures": ({"licence_images": ""}, "manifest of source cellars, field licence_images: is empty"),
    "passed on": ({"redistributable": None}, "manifest of source cellars, field redistributable: nobody has said"),
}


@pytest.mark.parametrize("name", OPEN)
def test_what_a_source_leaves_open_is_named_with_the_field_to_fill(run: Path, name: str) -> None:
    said, words = OPEN[name]
    for path in (run / EXPORT).glob("*/*/manifest.json"):
        manifest = json.loads(path.read_text())
        manifest["sources"] = {source: {**terms, **said} for source, terms in manifest["sources"].items()}
        path.write_text(json.dumps(manifest))
    assert any(line.startswith(words) for line in faults(run)), faults(run)


def test_a_licence_that_only_a_row_names_is_looked_at_too(run: Path) -> None:
    with duckdb.connect(str(run / "ledger.duckdb")) as db:
        db.execute("UPDATE questions SET licence = 'as it comes' WHERE source = 'texts'")
    (line,) = (line for line in faults(run) if "licence" in line)
    assert line.startswith("manifest of source texts, field licence: the licence 'as it comes' of a row is not known")


def test_pictures_that_may_not_be_passed_on_are_not_published(tmp_path: Path) -> None:
    run = carded_run(tmp_path, export={"rl": ["huggingface"], "withheld_images": "keep"})
    card(run)
    assert [line.partition(":")[0] for line in faults(run)] == ["recipe, field export.withheld_images"]


def test_a_shard_without_the_format_of_the_hub_has_no_configuration_and_says_so(tmp_path: Path) -> None:
    run = carded_run(tmp_path, export={"sft": ["llamafactory"], "rl": ["huggingface"]})
    card(run)
    assert [line.partition(":")[0] for line in faults(run)] == ["recipe, field export.sft"]
