"""How an export is used: what its card says of each trainer."""

from __future__ import annotations

from typing import get_args

from pipeline.dialects import DialectName
from pipeline.export.layout import Facts, Format, Shard
from pipeline.prompts.sets import for_search

_USE: dict[tuple[Shard, Format], str] = {
    ("sft", "llamafactory"): """\
Set `dataset_dir` to this directory and `dataset` to a name of `dataset_info.json`. Set `image_max_pixels`
to {max_pixels} and `cutoff_len` to at least {cutoff_len}. Image paths are relative to this directory.""",
    ("sft", "ms_swift"): """\
Set `ROOT_IMAGE_DIR` to this directory: image paths are relative to it, and ms-swift replaces a row whose pictures do
not open by another at random. Give the `.jsonl` files to `--dataset`; set `MAX_PIXELS` to {max_pixels} and
`--max_length` to at least {cutoff_len}. `loss` of an assistant message says whether it is learnt.""",
    ("sft", "trl"): """\
`datasets.load_dataset("<this directory>", split="train")`. Contents are lists of parts: every picture is in its turn.
Set `assistant_only_loss=True`, or questions and observations are learnt as well, and `max_length` to at least
{cutoff_len}. Resize images to at most {max_pixels} pixels.""",
    ("sft", "verl"): """\
Give the files under `data/` to `data.train_files`. Every assistant message is learnt. Set `max_length`, which is 1,024
by default, to at least {cutoff_len}. Resize images to at most {max_pixels} pixels.""",
    ("sft", "huggingface"): """\
`datasets.load_dataset("<this directory>", split="train")`; images decode on access. `<image>` in a text
stands for the next image of the row. Resize images to at most {max_pixels} pixels, as in the rollouts.""",
    ("rl", "trl"): """\
`datasets.load_dataset("<this directory>", split="train")`. Prompts are lists of parts. Reward functions are given the
other columns: all accepted `answers` (letters where there are `choices`), `answer_type`, `tolerance`, `metric`. Resize
images to at most {max_pixels} pixels.""",
    ("rl", "deepeyesv2"): """\
Give the files under `data/` to `data.train_files`; set
`actor_rollout_ref.rollout.agent.activate_agent=True`, `data.return_raw_chat=True`, `data.filter_overlong_prompts=True`
and `data.max_prompt_length`. Resize images to at most {max_pixels} pixels. The ground truth of a
question with options is letter and option (`B. Paris`), for the judge to compare.[search] The environment answers
`image_search` only for rows whose `extra_info.index` is in its own cache, and its text search is a
placeholder: rows of `data_source` search need a search service of your own.[/search]""",
    ("rl", "verl"): """\
Give the files under `data/` to `data.train_files`. Rewards are routed by `data_source`, for which verl has
no function of its own: set a custom reward function; `extra_info` holds the `question` as it was asked, all
golds (`answers`, a JSON list; letters where `choices`, a JSON list of the options, is not empty), `answer_type`,
`tolerance` (relative, empty for exact) and `metric`. {calls}
`max_tool_response_length` cuts at 256 characters unless raised. Resize images to at most {max_pixels} pixels.""",
}
_USE["rl", "huggingface"] = _USE["sft", "huggingface"]

_VERL_CALLS: dict[DialectName, str] = {
    "deepeyesv2": """\
The prompt is written in the dialect
`deepeyesv2`: verl's own tool parser reads `<tool_call>` blocks, so `<code>` blocks need an agent loop that
reads them.""",
    "tool_call": """\
verl's tool parser `hermes` reads
the calls; configure [search]tools named `python`, `image_search` and `search`[/search][no search]a tool
named `python`[/no search]. The system text holds all schemas already, so an agent loop that hands schemas to
the chat template shows them twice.""",
}


def usage(facts: Facts) -> str:
    """Return what to do with an export, in its trainer's own words for things."""
    dialect = next(name for name in get_args(DialectName) if name == facts.dialect)
    text = _USE[facts.shard, facts.format].format(
        max_pixels=facts.student.max_pixels, cutoff_len=facts.student.cutoff_len, calls=_VERL_CALLS[dialect]
    )
    return for_search(text, search=facts.corpus is not None)
