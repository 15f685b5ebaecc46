"""What usually causes a loss, and what to try: one sentence per stage and reason, and nothing else in this file.

A sentence names fields of the recipe in backticks (a test holds them to the recipe). It says what is usual, not what
happened: the examples of `coldforge why` do that.
"""

from __future__ import annotations

from collections.abc import Mapping

LARGE_SHARE = 0.1
"""Of a stage's input: a loss from which `stats` says what usually causes it."""
LARGE_ROWS = 3
"""Records: fewer are looked at one by one (`coldforge show`)."""

_IMAGE_FILES = (
    "Check the paths in the rows and `coldforge sources check MANIFEST`; one wrong folder loses a whole source."
)
_ROWS = "The source's columns are mapped wrongly more often than its rows are bad: `coldforge sources sample MANIFEST`."
_GRADED = "Look at said beside stored: other units or wording are a prompt, another kind of answer is `answer_type`."

CAUSES: Mapping[str, Mapping[str, str]] = {
    "ingest": {
        "edited": "A person corrected it (`edits`): the row that was made of it stands in its place.",
        "stale_edit": "The row is not the one that a person corrected (`edits`): look at it, and correct it again by "
        "`coldforge review edit`, or take the edit out.",
        "duplicate_row": "A row stands twice in its source with the same content; the first is kept, nothing is to do.",
        "later_turn": "A later turn of a conversation does not stand alone; `turns: each` in the manifest takes it.",
        "row_json": f"A line is no JSON object. {_ROWS}",
        "row_field": f"A field is missing or of another type. {_ROWS}",
        "row_column": f"A column holds something else than the manifest's transform expects. {_ROWS}",
        "row_void": "The source says itself that there is no answer; leave such rows out of the source.",
        "row_cells": f"A CSV row has more or fewer cells than its header, mostly an unquoted comma. {_ROWS}",
        "row_turns": f"A conversation does not alternate or has no question. {_ROWS}",
        "row_key": "The row has no key; name a column that is unique as `row` in the manifest.",
        "row_lane": "A row says its lane; write `lane` into the manifest and remove the field.",
        "row_key_reused": "Two rows share a key and differ; name a column that is unique as `row` in the manifest.",
        "image_marks": "Image marks in the text do not match the row's pictures; see `images` in the manifest.",
        "image_absent": "The row has no picture, and its source has one in each (`pictures: each`, the default of a "
        "webdataset); get it, or write `pictures: some` into the manifest.",
        "image_missing": f"The row's picture is not there. {_IMAGE_FILES}",
        "image_path": f"The row's path leads out of the source, or is a URL that nobody fetches. {_IMAGE_FILES}",
        "image_fetch": "A URL gave no picture: links of old data sets die. `coldforge sources check MANIFEST --again`.",
        "image_hash": "The file is another one than the data set states; take the revision that its hashes are of.",
        "image_format": "The file is no kind of picture that is read; convert it, or install the extra `heif`.",
        "image_undecodable": "The file is damaged or was cut while it was downloaded; fetch it again.",
        "image_too_large": "The picture has more pixels than any run decodes; scale it down at its source.",
        "solution_without_lane": "Rows bring solutions and the manifest has no `lane: long_cot`; add it or drop the "
        "field.",
        "solution_missing": "The source has `lane: long_cot` and the row no solution; move it to a source without a "
        "lane.",
        "solution_too_long": "The solution is longer than any student learns; leave the row out.",
        "long_cot_images": "The lane long_cot is text alone; move rows with pictures to a source without `lane`.",
        "long_cot_choices": "The lane long_cot has no options; write them into the text at the source.",
    },
    "screen": {
        "image_format": "The file is no kind of picture that is read; convert it.",
        "image_too_large": "The picture has more pixels than any run decodes; scale it down at its source.",
        "image_undecodable": "The stored picture is damaged; restore its file and run again.",
        "image_missing": f"The picture is not in the store. {_IMAGE_FILES}",
        "image_aspect": "The picture is thinner than the student's processor takes; see `images.max_aspect`.",
        "image_too_small": "The picture is smaller than a patch of the student: thumbnails in place of pictures, "
        "mostly; "
        "see `images.min_side`.",
        "image_blank": "The picture shows one shade: a placeholder of a dead link, or faint print; see "
        "`images.min_contrast`.",
        "image_unusable": "The picture could not be measured; `coldforge show RUN ID` has the words of the decoder.",
        "person_identity": "The question asks who a picture shows; `rights.people` keeps such questions, labelled.",
        "personal_data": "Text or answers hold personal data; `rights.personal_data` labels such rows instead.",
        "text_too_long": "The question alone is longer than `student.cutoff_len`; raise it if the student can learn "
        "more.",
        "perception_without_image": "A question of perception has no picture: its column is not mapped, or the "
        "category is "
        "wrong in the manifest.",
        "options_are_images": "Options stand for pictures that the row does not hold; this kind of question is not "
        "asked.",
        "answer_is_printed_list": "The answer is a list as programs print it; map the column with the transform for "
        "lists.",
        "needs_options": "Without its options the question means nothing (which of these); its source keeps them with "
        "`choices`.",
        "unverifiable_answer": "The stored answer is not right by its own grader: mostly `answer_type` of the source "
        "is "
        "wrong, or answers are sentences (`questions.max_text`, `questions.max_words`).",
        "guessable": "Guessing is likelier right than `questions.max_chance`: yes or no, and pairs of options.",
    },
    "dedup": {
        "duplicate": "The same question over the same picture came before, often because two sources share a corpus; "
        "it is "
        "kept once. `coldforge duplicates RUN` shows pairs; `dedup.radius` says how near pictures are the same.",
        "contradicting_answers": "One question over one picture has answers that disagree: one gold is wrong, or a "
        "source "
        "is typed wrongly. Both go; see the ledger's review_queue.",
        "near_text": "Questions over one picture read nearly alike and agree; `dedup.near_text` keeps or reports them.",
    },
    "decontaminate": {
        "benchmark_image": "The picture is a benchmark's: the source was made from its corpus. That is to be lost; "
        "where "
        "pictures only look alike, see `decontaminate.radius`.",
        "benchmark_text": "The text is a benchmark's question; templates of short words trip it, see "
        "`decontaminate.specific_tokens`.",
        "benchmark_in_solution": "The source's solution quotes a benchmark's question.",
    },
    "gate1": {
        "too_easy": "The base model knows it without tools, which is what the gate is for. Where too much goes: a "
        "harder "
        "source, a smaller `student.max_pixels`, or `gate.max_plain_right`, which `coldforge gates` tries for free; "
        "`lanes.no_call` and `lanes.plain_cot` use some of it.",
        "undecided": "Rollouts were malformed, cut or refused and too few answered. Cut: `models.base` "
        "`context_length` or "
        "`max_tokens`; malformed: a chat template that does not fit.",
        "answerable_blind": "The answer is found without the picture: it is in the question, or guessed; see "
        "`gate.max_blind_right` and `gate.guess_floor`.",
        "easy_for_stronger": "`models.stronger` always solves it without tools: it is no question for tools.",
        "missing_context": "The judge finds that the question refers to something the row does not hold, such as "
        "another "
        "picture or the text around it.",
        "unreadable": "The judge cannot read what is asked about: pictures were scaled down before they came here, or "
        "`student.max_pixels` is too small for this source.",
        "ambiguous": "The judge finds several readings of the question; sources made by models have many.",
        "several_answers": "The judge finds several right answers; state them all as answers, or leave such rows out.",
        "stale_fact": "The judge finds that the answer has changed since it was stored.",
        "judge_cannot_tell": "The judge had no opinion: it may be too weak for this source; name another "
        "`models.judge`.",
        "judge_unsure": "The judge's votes disagree; more `judge.votes`, or another `models.judge`.",
        "suspected_wrong_gold": "Attempts agree on another answer than the stored one: see the ledger's review_queue; "
        "a "
        "whole source of them is typed or mapped wrongly (`gold.min_attempts`).",
        "refused": "The model or its provider filtered every request; ask another model, or leave the source out.",
        "request_rejected": "The server does not take such a request (several pictures, too large ones); it is not "
        "the row's "
        "fault. Mend the server and use a new `--out`.",
        "context_too_long": "The question alone outgrew the context; raise `context_length` of `models.base`.",
        "image_aspect": "The student's processor takes no picture so thin; see `images.max_aspect`.",
        "as_of": "The row's `as_of` is no day; write YYYY-MM-DD at the source, or leave it out.",
    },
    "gate2": {
        "solved_without_call": "The tool prompt alone made the model right: a prompt that helps by its words. Compare "
        "the "
        "prompts, or allow more by `gate.max_right_without_call`.",
        "undecided": "Too few rollouts with tools tell (refused, or left open by the judge); see `gate.min_valid`. "
        "Unsolved ones go to the teachers and are not lost.",
        "suspected_wrong_gold": "Attempts agree on another answer than the stored one: see the ledger's review_queue; "
        "a "
        "whole source of them is typed or mapped wrongly (`gold.min_attempts`).",
        "refused": "The model or its provider filtered every request; ask another model, or leave the source out.",
        "request_rejected": "The server does not take such a request; it is not the row's fault. Mend the server and "
        "use a "
        "new `--out`.",
        "context_too_long": "The question alone outgrew the context; raise `context_length` of `models.base`.",
        "image_aspect": "The student's processor takes no picture so thin; see `images.max_aspect`.",
        "as_of": "The row's `as_of` is no day; write YYYY-MM-DD at the source, or leave it out.",
    },
    "synthesize": {
        "no_attempt": "No attempt of a teacher came to an answer: a limit is too small (`rollout.max_turns`, "
        "`rollout.max_completion_tokens`, `max_tokens` of the teacher; `coldforge why` names the one that ended them), "
        "or messages cannot be read; stats has `endings`, and `coldforge try RECIPE --question ID --role teacher` "
        "shows one.",
        "suspected_wrong_gold": "Teachers agree on another answer than the stored one: see the ledger's review_queue; "
        "a "
        "whole source of them is typed or mapped wrongly (`gold.min_attempts`).",
        "refused": "The teachers or their providers filtered every request; name other `models.teachers`.",
        "request_rejected": "The teacher's server does not take such a request; it is not the row's fault. Mend the "
        "server "
        "and use a new `--out`.",
        "context_too_long": "The question alone outgrew the context; raise `context_length` of `models.teachers`.",
        "image_aspect": "The student's processor takes no picture so thin; see `images.max_aspect`.",
        "no_reasoning": "The source's solution holds no reasoning before its answer; such rows teach none.",
        "no_answer": "The source's solution ends without an answer that is marked as one.",
        "several_answers": "The source's solution marks several answers that differ.",
        "text_after_answer": "The source's solution goes on after its answer.",
        "unclosed": "The source's solution opens a tag and does not close it: it was cut.",
        "control_token": "The source's solution holds tokens of a chat template; clean it at its source.",
        "not_text": "The source's solution holds characters that no text has; it was decoded wrongly.",
    },
    "validate": {
        "no_answer": "The attempt ended without an answer; more `rollout.max_turns` or `max_tokens` of the teacher.",
        "answer_wrong": f"The teacher's answer is not the stored one. {_GRADED} If one source alone is hit its "
        "answers are "
        "wrong or typed wrongly; if all are, name a better teacher or raise `synthesize.attempts`.",
        "answer_undecided": f"No rule decides on the answer, and no judge did. {_GRADED} Name `models.judge` to have "
        "them "
        "judged.",
        "bad_call": "The teacher wrote messages that are no turn, and recovered; a template or a guidance that does "
        "not fit "
        "the dialect (`prompts.teacher_guidance`).",
        "no_turns": "The attempt holds no message; see how it ended in `endings`.",
        "early_answer": "The teacher answered and went on; its server ignores the stop strings.",
        "no_final_answer": "The last message is no answer: the attempt was cut.",
        "other_answer": "The answer that was graded is not the one that is written.",
        "bad_arguments": "Calls have arguments that are empty or cannot be read.",
        "no_think": "The teacher calls without thinking first: its template strips thoughts, or it has none "
        "(`prompts.teacher_guidance`).",
        "control_token": "Fields hold tags or chat tokens that trainers read as markup: a template that does not fit.",
        "bad_code": "Code begins with a blank line or holds a fence, which a fenced block cannot carry.",
        "answer_too_long": "The teacher answers in sentences; ask for the answer alone (`prompts.teacher_guidance`), "
        "or "
        "raise `validate.max_answer`.",
        "too_long": "The row is longer than `student.cutoff_len` (a source's solution: than `long_cot.max_tokens`): "
        "the "
        "cutoff is set too short, or pictures and thoughts too long; `student.max_pixels` and shorter guidance help.",
        "unwritable": "No row can be written of the attempt; `coldforge show RUN ID` shows the turn that is none.",
        "copied_from_question": "The answer restates the question; a judge or a wide match took it for right.",
        "execution_error": "A cell failed on the way: teachers debug. More `synthesize.attempts`, or a guidance that "
        "names "
        "the packages there are (`prompts.teacher_guidance`).",
        "user_placeholders": "The user's text holds other image marks than pictures: the source's text has marks of "
        "its own.",
        "observation_placeholders": "A tool's output holds image marks; code printed the prompt.",
        "repeated_image_search": "The image search was called twice with the same picture; say in "
        "`prompts.teacher_guidance` that once is all.",
        "empty_search": "A search found nothing: `search.corpus` does not hold the subject, or queries are whole "
        "questions.",
        "no_informed_call": "No call could have carried the answer: the teacher knew it and called for show. "
        "Questions that "
        "are too easy for it (`gate.max_plain_right`), or `validate.require_tool`.",
        "called": "In a lane without calls the teacher called all the same; say so in its guidance.",
        "no_op_code": "A cell does nothing (comments, fixed text): teachers think in comments. Say so in "
        "`prompts.teacher_guidance`.",
        "unparsable_code": "A cell is no Python that can be read: markdown around code, or another language.",
        "blank_image": "A cell showed a picture of one shade: crops outside of the picture, mostly coordinates of the "
        "seen "
        "size used on the original. State both sizes in the prompt (`student.coordinates` of the family).",
        "unchanged_image": "A cell showed the picture as it was given, which is looking again for show.",
        "unmeasured_image": "A picture of a cell is not in the store any more; run again.",
        "host_path": "Text holds paths of some machine, mostly a traceback or a habit of the teacher (`/mnt/data`). "
        "Say in "
        "`prompts.teacher_guidance` that pictures are `image_1`.",
        "guest_path": "Code names the sandbox's own directory; say in `prompts.teacher_guidance` that pictures are "
        "`image_1`.",
        "session_internals": "Code reaches into the session that runs it, which nobody may learn.",
        "loop": "A thought goes in circles: temperature too low or a quantised teacher (`sampling` of the teacher).",
        "repeated": "A thought says again what it said, above `validate.max_repeated`.",
        "one_word": "A thought is one word over and over: a broken teacher or template.",
        "not_replayed": "The attempt could not be executed again; see the sandbox by `coldforge sandbox doctor`.",
        "replay_failed": "A cell that ran does not run again: time, network or files that are not there.",
        "nondeterministic": "A cell gives another output when it runs again: chance without a seed, sets, time. "
        "`validate.soft_replay` takes what differs by rounding.",
        "too_short": "The source's solution states its result; `long_cot.min_characters`.",
        "repeated_lines": "The source's solution repeats lines, above `long_cot.max_repeated_lines`.",
        "repeated_words": "The source's solution repeats runs of words, above `long_cot.max_repeated_words`.",
        "personal_data": "The attempt holds personal data; `rights.personal_data` labels such rows instead.",
    },
    "select": {
        "excluded": "Named by `select.exclude`, say by the marks of a review; or a person corrected it (`edits`), so "
        "that what was made of it stands in its place.",
        "saturated": "The base model with tools is always right, so that RL learns nothing from it; "
        "`select.saturated: keep` "
        "keeps such questions.",
        "duplicate_question": "Another question of its cluster is in RL already.",
        "image_in_sft": "SFT has the picture, and `select.disjoint: image` lets a picture be in one shard alone; "
        "`select.rl_share` says whose it is.",
        "image_in_rl": "RL has the picture, and `select.disjoint: image` lets a picture be in one shard alone; "
        "`select.rl_share` says whose it is.",
        "in_rl": "RL has a question of its cluster; the shards share none.",
        "resolution_artifact": "The question is hard at `student.max_pixels` alone; `select.max_resolution_artifact` "
        "caps "
        "how many.",
        "over_quota": "More than `select.max_rl` or `select.max_sft` asks for; the rest is spare.",
        "duplicate_trajectory": "Another trajectory of its cluster is there; `select.max_per_cluster` takes more.",
        "over_skeleton_cap": "The same program over the same picture is there often enough; `select.max_per_skeleton`.",
        "over_mix": "More than its share of `select.mix`: the scarcest group decides how much of the others fits.",
    },
    "publish": {
        "tombstone": "Somebody asked for it to be taken down (`rights.tombstones`).",
        "image_withheld": "A picture may not be passed on by its licence; `export.withheld_images` says what of it "
        "ships.",
        "too_long": "Under some prompt of the export the row is longer than `student.cutoff_len`.",
        "no_answer": "The attempt ends without an answer.",
        "no_gold": "The question has no answer to score against.",
        "unlearnable_turn": "A message must not be learnt and no format that is asked for can say so (`export.sft`).",
        "no_turn": "A turn is no turn of the dialect.",
        "invalid_turn": "A turn does not read back as it was written.",
        "no_observation": "A call was not executed.",
        "image_marks": "Image marks do not match the pictures.",
        "role_order": "Roles do not alternate.",
        "text_only": "The format needs a picture in each row (`export.sft`).",
    },
}
"""Stage → reason → what usually causes it and what to try."""


def cause(stage: str, reason: str) -> str:
    """Return what usually causes a loss; empty where nothing is known of it."""
    return CAUSES.get(stage, {}).get(reason, "")
