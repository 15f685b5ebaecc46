"""Which stage is the first to run again when a field of the recipe changes: a row per leaf.

A fingerprint covers those of the stages before it, so that stage tells all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.recipe_leaves import Leaf

NOTHING, FIXED, REFUSED = "nothing", "fixed", "refused"
"""No stage runs again; the field has one value only; no recipe holds the field there."""

ROLE: Mapping[str, str] = {
    "reader.backend": FIXED,
    "reader.policy": "itself",
    "reader.context_length": FIXED,
    "openai.backend": FIXED,
    "openai.model": "itself",
    "openai.family": "gold",
    "openai.served_name": NOTHING,
    "openai.base_url": NOTHING,
    "openai.serve.model": NOTHING,
    "openai.serve.tp": NOTHING,
    "openai.serve.dp": NOTHING,
    "openai.serve.flags": NOTHING,
    "openai.api_key_env": NOTHING,
    "openai.in_flight": NOTHING,
    "openai.rpm": NOTHING,
    "openai.tpm": NOTHING,
    "openai.timeout_seconds": NOTHING,
    "openai.patience_seconds": NOTHING,
    "openai.fingerprint": NOTHING,
    "openai.tools_api": "itself",
    "openai.tool_images": "itself",
    "openai.context_length": "itself",
    "openai.batch.max_wait_seconds": NOTHING,
    "openai.batch.max_requests": NOTHING,
    "vllm_offline.backend": FIXED,
    "vllm_offline.model": "itself",
    "vllm_offline.family": "gold",
    "vllm_offline.serve.model": NOTHING,
    "vllm_offline.serve.tp": NOTHING,
    "vllm_offline.serve.dp": FIXED,
    "vllm_offline.serve.flags": NOTHING,
    "vllm_offline.in_flight": NOTHING,
    "vllm_offline.tools_api": FIXED,
    "vllm_offline.context_length": "itself",
    "anthropic.backend": "itself",
    "anthropic.model": "itself",
    "anthropic.api_key_env": NOTHING,
    "anthropic.base_url": NOTHING,
    "anthropic.thinking": "itself",
    "anthropic.in_flight": NOTHING,
    "anthropic.rpm": NOTHING,
    "anthropic.tpm": NOTHING,
    "anthropic.tools_api": "itself",
    "anthropic.context_length": "itself",
    "anthropic.profile.max_images": "itself",
    "anthropic.profile.max_image_bytes": "itself",
    "anthropic.profile.max_side": "itself",
    "anthropic.profile.max_request_bytes": "itself",
    "anthropic.profile.takes_sampling": "itself",
    "anthropic.profile.thinking": "itself",
    "anthropic.profile.native_thinking_tokens": "itself",
    "anthropic.batch.max_wait_seconds": NOTHING,
    "anthropic.batch.max_requests": NOTHING,
    **{
        f"{backend}.price.{field}": NOTHING
        for backend in ("openai", "vllm_offline", "anthropic")
        for field in ("prompt", "cached", "completion", "batch_discount")
    },
    **{
        f"{backend}.sampling.{field}": "itself"
        for backend in ("reader", "openai", "vllm_offline", "anthropic")
        for field in ("temperature", "top_p", "max_tokens")
    },
}
"""`itself`: the stage that first asks the role. `gold`: synthesize, where families of models are told apart."""

ASKED = {"base": "gate1", "teachers": "synthesize", "stronger": "gate1", "judge": "gate1"}
"""By whom a role is asked first."""
FAMILIES = {"base": "gate2", "teachers": "synthesize"}
"""By which stage the answers of a role are first held against stored ones."""

TABLE: Mapping[str, str] = {
    "name": NOTHING,
    "seed": "gate1",
    "sources.source": "ingest",
    "sources.demo.questions": "ingest",
    "sources.demo.seed": "ingest",
    "sources.demo.wrong_golds": "ingest",
    "sources.fetch.ports": "ingest",
    "sources.fetch.in_flight": NOTHING,
    "sources.fetch.per_host": NOTHING,
    "benchmarks": "decontaminate",
    "student.family": FIXED,
    "student.revision": "publish",
    **dict.fromkeys(("student.max_pixels", "student.deploy_pixels", "student.view"), "screen"),
    "student.cutoff_len": "screen",
    "student.tokenizer": "screen",
    "student.template": "publish",
    "student.coordinates": FIXED,
    "dialect": "gate1",
    "prompts.name": "gate1",
    "prompts.teacher_guidance": "synthesize",
    **dict.fromkeys(("search.corpus", "search.recording", "search.as_of"), "gate2"),
    "search.mode": NOTHING,
    **{f"search.leaks.{field}": "gate2" for field in ("deny", "copies", "ngram_share", "radius", "max_dhash")},
    **{
        f"search.{tool}.{field}": row
        for tool in ("text", "image")
        for field, row in (
            *((name, NOTHING) for name in ("base_url", "api_key_env", "timeout_seconds", "patience_seconds")),
            *((name, NOTHING) for name in ("in_flight", "rpm")),
            *((name, "gate2") for name in ("language", "country")),
        )
    },
    "search.text.provider": "gate2",
    "search.text.engines": "gate2",
    "search.image.provider": FIXED,
    "rollout.max_turns": "gate2",
    "rollout.max_completion_tokens": "gate2",
    "rollout.max_seconds": "gate2",
    **dict.fromkeys(("images.min_side", "images.max_aspect", "images.min_contrast"), "screen"),
    **dict.fromkeys(
        ("questions.max_text", "questions.max_words", "questions.max_chance", "questions.instructions"), "screen"
    ),
    **dict.fromkeys(("rights.people", "rights.personal_data"), "screen"),
    "rights.tombstones": "publish",
    **dict.fromkeys(("dedup.radius", "dedup.max_dhash", "dedup.max_aspect_change"), "dedup"),
    **dict.fromkeys(("dedup.near_text", "dedup.near_share"), "dedup"),
    **{
        f"decontaminate.{field}": "decontaminate"
        for field in (
            *("radius", "max_dhash", "text_radius", "review_radius", "review_share", "ngram_share"),
            *("specific_tokens", "tokens_per_change"),
        )
    },
    **{
        f"gate.{field}": "gate1"
        for field in (
            *("k", "max_plain_right", "min_valid", "blind", "max_blind_right", "sweep", "judge_questions"),
            *("early_stop", "early_stop_exempt", "guess_floor"),
        )
    },
    **dict.fromkeys(("gate.min_tools_right", "gate.max_right_without_call", "gate.rule", "gate.fresh_share"), "gate2"),
    "gate.max_malformed": NOTHING,
    "judge.votes": "gate1",
    **{f"gold.{field}": "gate2" for field in ("enabled", "min_attempts", "min_share")},
    **dict.fromkeys(("gold.min_families", "gold.min_per_family"), "synthesize"),
    **dict.fromkeys(("lanes.no_call", "lanes.no_call_right", "lanes.plain_cot"), "gate1"),
    **{
        f"long_cot.{field}": "validate"
        for field in ("min_characters", "max_tokens", "max_repeated_lines", "max_repeated_words")
    },
    **{f"synthesize.{field}": "synthesize" for field in ("attempts", "accept", "policy", "weights")},
    "validate.require_tool": "synthesize",
    "validate.max_answer": "synthesize",
    "validate.max_repeated": "synthesize",
    "validate.soft_replay": "validate",
    **{
        f"select.{field}": "select"
        for field in (
            *("max_rl", "max_sft", "mix_unit", "balance", "max_resolution_artifact", "max_per_cluster"),
            *("max_per_skeleton", "saturated", "disjoint", "rl_share", "exclude"),
            *(f"mix.{group}" for group in ("perception", "reasoning", "search", "no_call", "plain_cot", "long_cot")),
        )
    },
    "export.sft": "publish",
    "export.rl": "publish",
    "export.withheld_images": "publish",
    "export.validation": "publish",
    "export.split_by_licence": "publish",
    # What they hold comes in as records: units of other rows stand.
    "edits": NOTHING,
    "require": NOTHING,
    **{f"dataset.{field}": NOTHING for field in ("title", "authors", "contact", "url", "description", "year")},
    **{
        f"runtime.{field}": NOTHING
        for field in (
            *("workers", "rollouts", "sandbox.url", "sandbox.token_env", "budget.max_cost", "budget.max_tokens"),
            *("budget.max_calls", "abort_above", "abort_min_rows", "max_rejected", "min_requests"),
        )
    },
}


def expected(leaf: Leaf) -> str:
    """Return the first stage that runs again when a leaf is changed alone."""
    if leaf.place[0] != "models":
        return TABLE[leaf.name]
    _, role, field = leaf.name.split(".", 2)
    if role == "judge" and field.startswith("reader."):
        return REFUSED
    match ROLE[field]:
        case "itself":
            return ASKED[role]
        case "gold":
            return FAMILIES.get(role, NOTHING)
        case other:
            return other
