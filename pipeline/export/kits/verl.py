"""verl: a script for multi-turn SFT; a script, and what names our agent loop, for training by reinforcement."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.export.kits.lengths import lengths
from pipeline.export.layout import Facts
from pipeline.export.rows import Split
from pipeline.export.summary import Summary

_SFT = """\
#!/bin/sh
# sh kit/train_sft.sh: multi-turn SFT with verl (0.9), {rows} rows, the longest of about {longest} tokens.
# The loss is on all assistant messages.
set -eu
EXPORT="$(cd "$(dirname "$0")/.." && pwd)"
# Beside the exports, never among them: what stands there has to be what the manifest says.
SAVES="${{SAVES:-$(cd "$EXPORT/../../.." && pwd)/saves/sft-verl}}"
# verl reads the budget per picture from the checkpoint: a copy that has the one of the data ({max_pixels}).
python "$EXPORT/kit/budget.py" "${{MODEL:-{model}}}" "$SAVES/base"
torchrun --standalone --nnodes=1 --nproc_per_node="${{GPUS:-8}}" -m verl.trainer.sft_trainer \\
  data.train_files="[{train}]" \\
  data.val_files={validation} \\
  data.messages_key=messages \\
  data.max_length={cutoff} data.truncation=error data.max_token_len_per_gpu={cutoff} \\
  data.train_batch_size={batch} data.micro_batch_size_per_gpu=1 \\
  model.path="$SAVES/base" model.use_remove_padding=true \\
  engine=fsdp optim=fsdp optim.lr=1e-5 \\
  trainer.project_name={name} trainer.experiment_name=sft trainer.total_epochs=3 \\
  trainer.save_freq=after_each_epoch trainer.test_freq={evaluated} \\
  trainer.default_local_dir="$SAVES/checkpoints" trainer.logger='[console]' "$@"
"""
_RL = """\
#!/bin/sh
# sh kit/launch.sh: GRPO with verl (0.9) over {rows} questions, on one node. Before it, once:
#   pip install --no-deps coldforge=={version} (or the path of a checkout) && pip install -r kit/requirements.txt
#   coldforge sandbox serve --port 8000      (in another shell, in an environment with coldforge as a whole)
{recorded}# Prompts take up to about {prompt_most} tokens{response_seen}: the lengths below have room for them.
set -eu
EXPORT="$(cd "$(dirname "$0")/.." && pwd)"
KIT="$EXPORT/kit"
# Beside the exports, never among them: what stands there has to be what the manifest says.
SAVES="${{SAVES:-$(cd "$EXPORT/../../.." && pwd)/saves/rl-verl}}"
export PYTHONPATH="$KIT${{PYTHONPATH:+:$PYTHONPATH}}"
export COLDFORGE_SANDBOX_URL="${{COLDFORGE_SANDBOX_URL:-http://127.0.0.1:8000}}"
{search}# A judge for answers that no rule decides: export COLDFORGE_JUDGE_URL=http://…/v1 COLDFORGE_JUDGE_MODEL=…
# verl reads the budget per picture from the checkpoint: a copy that has the one of the data ({max_pixels}).
python "$KIT/budget.py" "${{MODEL:-{model}}}" "$SAVES/base"
python -m verl.trainer.main_ppo \\
  algorithm.adv_estimator=grpo algorithm.use_kl_in_reward=false \\
  data.train_files="[{train}]" \\
  data.val_files="[{validation}]" \\
  data.prompt_key=prompt data.image_key=images data.return_raw_chat=true \\
  data.max_prompt_length={prompt} data.max_response_length={response} \\
  data.filter_overlong_prompts=false data.truncation=error data.train_batch_size={batch} \\
  reward.custom_reward_function.path="$KIT/reward.py" reward.custom_reward_function.name=compute_score \\
  actor_rollout_ref.model.path="$SAVES/base" actor_rollout_ref.model.use_remove_padding=true \\
  actor_rollout_ref.model.enable_gradient_checkpointing=true \\
  actor_rollout_ref.actor.optim.lr=1e-6 actor_rollout_ref.actor.use_kl_loss=false \\
  actor_rollout_ref.actor.ppo_mini_batch_size={mini} actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=1 \\
  actor_rollout_ref.rollout.name=vllm actor_rollout_ref.rollout.n=16 actor_rollout_ref.rollout.temperature=1.0 \\
  actor_rollout_ref.rollout.max_model_len={together} actor_rollout_ref.rollout.gpu_memory_utilization=0.6 \\
  actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=1 \\
  actor_rollout_ref.rollout.multi_turn.enable=true \\
  actor_rollout_ref.rollout.multi_turn.max_assistant_turns={turns} \\
  actor_rollout_ref.rollout.multi_turn.max_tool_response_length={observation} \\
  actor_rollout_ref.rollout.agent.agent_loop_config_path="$KIT/agent_loop.yaml" \\
  actor_rollout_ref.rollout.agent.default_agent_loop=coldforge actor_rollout_ref.rollout.agent.num_workers=8 \\
  trainer.project_name={name} trainer.experiment_name=rl trainer.logger='[console]' \\
  trainer.n_gpus_per_node="${{GPUS:-8}}" trainer.nnodes=1 trainer.save_freq=20 {evaluated} \\
  trainer.total_epochs=10 trainer.default_local_dir="$SAVES/checkpoints" "$@"
"""
_LOOP = """\
# What verl is to run for rows whose agent_name is one of these; kit/ has to be on PYTHONPATH.
- name: coldforge
  _target_: agent_loop.ColdforgeAgentLoop
# The name of verl's own loop, which some rows bear: it would give each call a session of its own.
- name: tool_agent
  _target_: agent_loop.ColdforgeAgentLoop
"""
_SEARCH = """\
# What is not on record is refused, as the grammar refuses; without a record that is every search.
export COLDFORGE_SEARCH_RECORD="${COLDFORGE_SEARCH_RECORD:-}"
test -n "$COLDFORGE_SEARCH_RECORD" || echo 'COLDFORGE_SEARCH_RECORD is not set: every search will be refused' >&2
"""
_RECORDED = """\
#   coldforge search-cache RUN --out cache && export COLDFORGE_SEARCH_RECORD="$PWD/cache"
"""
OBSERVED = 14_000
"""Characters of the longest observation: 8,000 of output, 4,000 of errors, and the frame around them. A loop of verl's
own would cut at 256."""


def absolute(summary: Summary, split: Split) -> str:
    """Return the files of a split for a script in which `$EXPORT` is the export; without it those of `train`."""
    return ",".join(f"$EXPORT/{path}" for path in summary.files.get(split, summary.files["train"]))


def evaluated(summary: Summary, steps: int) -> str:
    """Return the options of verl that say how often to evaluate: without a validation split, never."""
    if "validation" in summary.files:
        return f"trainer.test_freq={steps}"
    return "trainer.test_freq=-1 trainer.val_before_train=False"


def batch(summary: Summary, most: int) -> int:
    """Return rows of a batch: trainers here leave out what does not fill one, and stop where none is full."""
    return min(most, 1 << max(summary.splits.get("train", 1), 1).bit_length() - 1)


def sft_files(facts: Facts, summary: Summary) -> Mapping[str, str]:
    """Return the script."""
    text = _SFT.format(
        rows=summary.splits.get("train", 0),
        longest=summary.row_tokens.most,
        batch=batch(summary, 32),
        evaluated="after_each_epoch" if "validation" in summary.files else -1,
        max_pixels=facts.student.max_pixels,
        model=facts.student.revision,
        train=absolute(summary, "train"),
        validation=f'"[{absolute(summary, "validation")}]"' if "validation" in summary.files else "null",
        cutoff=facts.student.cutoff_len,
        name=facts.name,
    )
    return {"train_sft.sh": text}


def rl_values(facts: Facts, summary: Summary, steps: int) -> Mapping[str, object]:
    """Return what a script for training by reinforcement is filled with, whichever verl it is for.

    `steps`: after how many to evaluate.
    """
    room = lengths(summary)
    return {
        "rows": summary.splits.get("train", 0),
        "batch": batch(summary, 256),
        "mini": batch(summary, 32),
        "recorded": _RECORDED if summary.search else "",
        "version": summary.version,
        "search": _SEARCH if summary.search else "",
        "max_pixels": facts.student.max_pixels,
        "model": facts.student.revision,
        "train": absolute(summary, "train"),
        "validation": absolute(summary, "validation"),
        "evaluated": evaluated(summary, steps),
        "prompt": room.prompt,
        "response": room.response,
        "together": room.together,
        "turns": summary.max_turns,
        "name": facts.name,
    }


def rl_files(facts: Facts, summary: Summary) -> Mapping[str, str]:
    """Return the script and the configuration of the agent loop."""
    seen = summary.response_tokens
    text = _RL.format(
        **rl_values(facts, summary, steps=20),
        prompt_most=summary.prompt_tokens.most,
        response_seen=f", rollouts up to about {seen.most} (median {seen.median})" if seen.most else "",
        observation=max(OBSERVED, summary.most_observation),
    )
    return {"launch.sh": text, "agent_loop.yaml": _LOOP}
