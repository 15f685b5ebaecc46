"""DeepEyesV2's verl fork: a script that puts our environment beside its own and trains with it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pipeline.dialects import by_name
from pipeline.export.formats.deepeyesv2 import ENV_KEY
from pipeline.export.kits.lengths import lengths
from pipeline.export.kits.verl import rl_values
from pipeline.export.layout import Facts
from pipeline.export.summary import Summary

_LAUNCH = """\
#!/bin/sh
# DEEPEYESV2=/path/to/DeepEyesV2 sh kit/launch.sh: its GRPO (0373e6e) over {rows} questions, in our environment.
# Before it, once, in its environment with Python 3.11 or newer:
#   pip install --no-deps coldforge=={version} (or the path of a checkout) && pip install -r kit/requirements.txt
#   coldforge sandbox serve --port 8000      (in another shell, in an environment with coldforge as a whole)
{recorded}# Its own environment as it is: put actor_rollout_ref.rollout.agent.tool_name_key=env_name behind it.
set -eu
EXPORT="$(cd "$(dirname "$0")/.." && pwd)"
# Beside the exports, never among them: what stands there has to be what the manifest says.
SAVES="${{SAVES:-$(cd "$EXPORT/../../.." && pwd)/saves/rl-deepeyesv2}}"
FORK="$(cd "$DEEPEYESV2/reinforcement_learning" && pwd)"
# Environments are found by being imported: one file and one line are added to the checkout.
ENVS="$FORK/verl/workers/agent"
cp "$EXPORT/kit/env_coldforge.py" "$EXPORT/kit/kit.json" "$ENVS/envs/"
grep -q env_coldforge "$ENVS/__init__.py" || echo "from .envs.env_coldforge import ColdforgeEnv" >> "$ENVS/__init__.py"
export COLDFORGE_SANDBOX_URL="${{COLDFORGE_SANDBOX_URL:-http://127.0.0.1:8000}}"
{search}# A judge for answers that no rule decides: export COLDFORGE_JUDGE_URL=http://…/v1 COLDFORGE_JUDGE_MODEL=…
# The fork has no budget per picture but the checkpoint's: a copy that has the one of the data ({max_pixels}).
python3 "$EXPORT/kit/budget.py" "${{MODEL:-{model}}}" "$SAVES/base"
cd "$FORK"
python3 -m verl.trainer.main_ppo \\
  +debug=False +vs_debug=False \\
  algorithm.adv_estimator=grpo algorithm.use_kl_in_reward=False \\
  data.train_files="[{train}]" \\
  data.val_files="[{validation}]" \\
  data.train_batch_size={batch} data.max_prompt_length={prompt} data.max_response_length={response} \\
  data.return_raw_chat=True data.filter_overlong_prompts=False data.truncation=error data.image_key=images \\
  custom_reward_function.path="$EXPORT/kit/reward.py" custom_reward_function.name=compute_score \\
  reward_model.reward_manager=naive_async \\
  actor_rollout_ref.model.path="$SAVES/base" actor_rollout_ref.model.use_remove_padding=True \\
  actor_rollout_ref.model.enable_gradient_checkpointing=True \\
  actor_rollout_ref.actor.optim.lr=1e-6 actor_rollout_ref.actor.use_kl_loss=False \\
  actor_rollout_ref.actor.kl_loss_coef=0.0 actor_rollout_ref.actor.entropy_coeff=0 \\
  actor_rollout_ref.actor.ppo_mini_batch_size={mini} actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=1 \\
  actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=1 \\
  actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=1 actor_rollout_ref.rollout.name=vllm \\
  actor_rollout_ref.rollout.tensor_model_parallel_size=1 actor_rollout_ref.rollout.gpu_memory_utilization=0.6 \\
  actor_rollout_ref.rollout.enable_chunked_prefill=False actor_rollout_ref.rollout.enforce_eager=False \\
  actor_rollout_ref.rollout.free_cache_engine=False actor_rollout_ref.rollout.max_num_batched_tokens={batched} \\
  actor_rollout_ref.rollout.n=16 actor_rollout_ref.rollout.temperature=1 \\
  actor_rollout_ref.rollout.agent.activate_agent=True \\
  actor_rollout_ref.rollout.agent.tool_name_key={key} \\
  actor_rollout_ref.rollout.agent.single_response_max_tokens=8192 \\
  actor_rollout_ref.rollout.agent.max_turns={turns} \\
  actor_rollout_ref.rollout.agent.concurrent_workers=2 \\
  actor_rollout_ref.rollout.agent.custom_stop='{stop}' \\
  trainer.critic_warmup=0 trainer.logger='[console]' trainer.project_name={name} trainer.experiment_name=rl \\
  trainer.n_gpus_per_node="${{GPUS:-8}}" trainer.nnodes=1 trainer.save_freq=4 {evaluated} \\
  trainer.default_local_dir="$SAVES/checkpoints" trainer.total_epochs=32 "$@"
"""


def files_of(facts: Facts, summary: Summary) -> Mapping[str, str]:
    """Return the script."""
    text = _LAUNCH.format(
        **rl_values(facts, summary, steps=4),
        batched=max(32_768, lengths(summary).together),
        key=ENV_KEY,
        stop=json.dumps(list(by_name(facts.dialect).stop)),
    )
    return {"launch.sh": text}
