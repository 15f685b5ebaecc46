"""How an export is used: what its card says of each trainer."""

from __future__ import annotations

from typing import get_args

from pipeline.dialects import DialectName
from pipeline.export.layout import Facts, Format, Shard
from pipeline.prompts.sets import for_search

_PLAIN = """\
`datasets.load_dataset("<this directory>", split="train")`; images decode on access. `<image>` in a text stands
for the next image of the row. Resize images to at most {max_pixels} pixels, as in the rollouts."""

_NEEDS = """\
Once, in the trainer's environment (Python 3.11 or newer):

```
pip install --no-deps coldforge                  # or the path of a checkout
pip install -r kit/requirements.txt
```

On each node, from an environment with coldforge as a whole (`COLDFORGE_SANDBOX_URL` names another place):

```
coldforge sandbox serve --port 8000              # goes on: what follows in another shell
[search]coldforge search-cache RUN --out cache           # RUN: the directory that this data was made in
export COLDFORGE_SEARCH_RECORD="$PWD/cache"
[/search]```

[search]Searches are answered from that record alone: no live provider is asked, and what is not on record is refused.
The record is no part of this export. Who has the export but no RUN cannot make it, and every search is refused: leave
out the questions about search then,

```
python -c '
import glob, pyarrow.parquet as pq
files = sorted(glob.glob("data/train-*.parquet"))
pq.write_table(pq.read_table(files, filters=[("data_source", "!=", "search")]), "/tmp/train.parquet")'
```

and put `data.train_files="[/tmp/train.parquet]"` behind the script; where fewer rows are left than the batch has,
`data.train_batch_size=…` as well.

[/search]"""
"""What episodes with tools need, above what starts them."""

_USE: dict[tuple[Shard, Format], str] = {
    ("sft", "llamafactory"): """\
`llamafactory-cli train kit/train.yaml`, from this directory: it names the data sets of `dataset_info.json` and
sets `image_max_pixels: {max_pixels}` and `cutoff_len: {cutoff_len}`. Image paths are relative to this
directory. What it saves has the picture budget of the checkpoint that it began with: serve the copy that
`python kit/budget.py SAVED COPY` makes.""",
    ("sft", "ms_swift"): """\
`sh kit/train.sh`: it sets `ROOT_IMAGE_DIR` to this directory (image paths are relative to it, and ms-swift
replaces a row whose pictures do not open by another at random), `MAX_PIXELS` to {max_pixels} and `--max_length`
to {cutoff_len}. `loss` of an assistant message says whether it is learnt. What it saves has the picture budget of
the checkpoint that it began with: serve the copy that `python kit/budget.py SAVED COPY` makes.""",
    ("sft", "trl"): """\
`accelerate launch kit/train_sft.py`. Contents are lists of parts: every picture is in its turn. It sets
`assistant_only_loss=True`, without which questions and observations are learnt as well, `max_length` to
{cutoff_len} and the budget of {max_pixels} pixels a picture.""",
    ("sft", "verl"): """\
`sh kit/train_sft.sh`. Every assistant message is learnt. It sets `max_length`, which is 1,024 by default, to
{cutoff_len}, and makes a copy of the checkpoint with the budget of {max_pixels} pixels a picture, for verl
knows no other.""",
    ("sft", "huggingface"): _PLAIN,
    ("rl", "trl"): """\
Once, in the trainer's environment (Python 3.11 or newer): `pip install --no-deps coldforge`, or the path of a
checkout, and `pip install -r kit/requirements.txt`. Then `accelerate launch kit/train_grpo.py`: one message an
episode, the baseline without tools, scored by `kit/reward.py`. So prompts tell of no tools; they are lists of parts.
Reward functions are given the other columns: all accepted `answers` (letters where there are `choices`),
`answer_type`, `tolerance`, `metric`. A picture has at most {max_pixels} pixels.""",
    ("rl", "deepeyesv2"): _NEEDS
    + """\
`DEEPEYESV2=… sh kit/launch.sh` trains in an environment of ours, which acts as the rollouts of this data did:
it is selected by the column `coldforge_env`, DeepEyesV2's own by `env_name`. Its own rewrites code, shows no
value of a cell, opens one picture and[search] knows none of these searches[/search][no search] has no budget
per picture[/no search]; `extra_info.stock_reward` says whether its reward grades a question as ours does. The
ground truth of a question with options is letter and option (`B. Paris`), for its judge to compare. A picture
has at most {max_pixels} pixels.""",
    ("rl", "verl"): _NEEDS
    + """\
`sh kit/launch.sh`: an agent loop that acts as the rollouts of this data did, and `kit/reward.py`. `extra_info`
holds the `question` as it was asked, all golds (`answers`, a JSON list; letters where `choices`, a JSON list of
the options, is not empty), `answer_type`, `tolerance` (relative, empty for exact) and `metric`. verl's own tool
loop would read {calls}, open a session for each call, and cut what comes back at 256 characters. A picture has
at most {max_pixels} pixels.""",
    ("rl", "huggingface"): _PLAIN,
}

_VERL_CALLS: dict[DialectName, str] = {
    "deepeyesv2": "no `<code>` blocks, in which calls are written here",
    "tool_call": "the calls with its parser `hermes`",
}


def usage(facts: Facts) -> str:
    """Return what to do with an export, in its trainer's own words for things."""
    dialect = next(name for name in get_args(DialectName) if name == facts.dialect)
    text = _USE[facts.shard, facts.format].format(
        max_pixels=facts.student.max_pixels, cutoff_len=facts.student.cutoff_len, calls=_VERL_CALLS[dialect]
    )
    return for_search(text, search=facts.corpus is not None)
