-- The ledger of a run. `part.*` are views over committed parts and run facts; nothing else is read.

CREATE TABLE runs AS SELECT * FROM part.runs;
COMMENT ON TABLE runs IS 'One row: the run this snapshot was taken of.';

CREATE TABLE stages AS SELECT * FROM part.stages;
COMMENT ON TABLE stages IS 'Stages in order, with fingerprint and the revision of what they ran.';

CREATE TABLE outcomes AS
SELECT stage, unit, record_id, question_id, source, category, outcome, route, reason, detail, payload, score
FROM part.outcomes;
COMMENT ON TABLE outcomes IS 'Exactly one row per input record of each stage.';

CREATE TABLE questions AS
SELECT id AS question_id, source, source_revision, source_row, category, text, len(images) AS n_images, images,
       choices, answers, answer_type, tolerance, licence, meta
FROM part.questions;
COMMENT ON TABLE questions IS 'Questions as they left the screen (open-ended), before deduplication.';

CREATE TABLE ingested AS
SELECT id AS question_id, source, source_revision, source_row, category, text, answers, answer_type FROM part.ingested;
COMMENT ON TABLE ingested IS 'Questions as their source has them, before the screen.';

CREATE VIEW every_question AS
SELECT question_id, question_id AS ingested_id, source, category, text, answers, answer_type, answer_type AS ingested_type
FROM ingested
UNION ALL
SELECT q.question_id, coalesce(i.question_id, q.question_id), q.source, q.category, q.text, q.answers, q.answer_type,
       coalesce(i.answer_type, q.answer_type)
FROM questions q LEFT JOIN ingested i USING (source, source_revision, source_row)
WHERE i.question_id IS NULL OR i.question_id <> q.question_id;
COMMENT ON VIEW every_question IS 'Questions under each of their ids, as ingested and as they left the screen: what the '
    'question_id of any outcome but those of ingest stands for.';

CREATE TABLE trajectories AS
SELECT id AS trajectory_id, question_id,
       CASE WHEN purpose = 'synthesis' THEN 'synthesize'
            WHEN mode = 'tools' OR arm = 'fresh' THEN 'gate2' ELSE 'gate1' END AS stage,
       purpose, arm, mode, sample, model, dialect, prompts, view, seed, answer, verdict, finish, len(turns) AS n_turns,
       tokens.prompt AS prompt_tokens, tokens.completion AS completion_tokens, sandbox, detail,
       nullif(parent, '') AS parent,
       -- Sizes stand in the order of the pictures, the question's first; true: both lists are cut to the shorter.
       list_min(list_transform(list_transform(list_zip(images, CAST(view->'$.seen' AS INTEGER[][]), true),
                                              lambda p: p[2][1] * p[2][2] / (p[1].width * p[1].height)),
                               lambda share: if(share > 1, 1.0, share))) AS seen_share
FROM part.trajectories;
COMMENT ON TABLE trajectories IS 'Every rollout: of the gates (purpose gate) and of the teachers (purpose synthesis). '
    'The arm tells what for: main decides a gate, the others are asked beside it; of synthesis it is the lane. Nothing was '
    'asked for the arm long_cot: its solutions came with the source.';

CREATE TABLE edits AS
WITH made AS (
  -- The screen may give a question another id; the last one is what later stages know it by.
  SELECT edit, max_by(id, asked) AS question_id FROM (
    SELECT meta->>'$.edited_from.edit' AS edit, id, 0 AS asked FROM part.ingested WHERE contains(meta, 'edited_from')
    UNION ALL
    SELECT meta->>'$.edited_from.edit', id, 1 FROM part.questions WHERE contains(meta, 'edited_from')
  ) GROUP BY edit
)
SELECT e.id AS edit_id, e.unit, e.parent, coalesce(m.question_id, t.trajectory_id) AS record_id,
       e.root AS row_id, e.was, e.changes, e.annotator, e.comment
FROM part.edits e
LEFT JOIN made m ON e.unit = 'question' AND m.edit = e.id
LEFT JOIN trajectories t ON e.unit = 'trajectory' AND t.trajectory_id = e.id
ORDER BY e.unit, e.parent;
COMMENT ON TABLE edits IS 'What people corrected: of each edit the record that was made, whose parent is the one that they '
    'saw; record_id is null of one that is stale or whose row is none.';

CREATE TABLE turns AS
SELECT trajectory_id, question_id, purpose, turn, t.action AS action, t.status AS status, t.think AS think,
       t.arguments AS arguments, t.observation AS observation, len(t.images) AS n_images, t.loss AS loss,
       t.labels AS labels
FROM (SELECT id AS trajectory_id, question_id, purpose, unnest(range(len(turns))) AS turn, unnest(turns) AS t
      FROM part.trajectories);
COMMENT ON TABLE turns IS 'Assistant messages with what came back, numbered from 0 in each trajectory.';

CREATE TABLE gate_settings AS SELECT * FROM part.gate_settings;
COMMENT ON TABLE gate_settings IS 'One row: what the gates of this run went by; deploy_pixels is null where none is set.';

-- Gate 2 counts further what gate 1 had counted.
CREATE VIEW part.counts AS
FROM part.gate2_counts
UNION ALL BY NAME
FROM part.gate1_counts WHERE question_id NOT IN (SELECT question_id FROM part.gate2_counts);

CREATE TABLE gates AS
SELECT question_id, k, plain_right, plain_valid, plain_malformed, plain_limit, plain_lost, plain_unknown,
       tools_right, tools_right_without_call, tools_right_uninformed, tools_bad_format, tools_limit, tools_lost,
       tools_unknown,
       tools_valid, censored, saturated, route, chance, guess_floor, by_floor, plain_low, plain_high, tools_low, tools_high,
       plain_valid + plain_malformed + plain_limit + plain_lost + plain_unknown AS plain_asked,
       tools_valid + tools_bad_format + tools_limit AS tools_decided
FROM part.counts;
COMMENT ON TABLE gates IS 'Gate counts per question, with 95 % intervals (Wilson); plain_valid = the first k that answered, '
    'of plain_asked; tools_decided = rollouts with tools that tell, malformed and cut ones as unsolved; censored = of the '
    'first k plain rollouts those never asked for, its rejection being settled, so that those before have no interval; '
    'guess_floor = the least right of k that guessing does not explain; by_floor = sent to the teachers by it alone; '
    'tools_right_uninformed = of those right without a call that helped, the ones after calls that showed nothing of use.';

CREATE TABLE arms AS
SELECT question_id, CASE WHEN arm = 'fresh' THEN 'gate2' ELSE 'gate1' END AS stage, arm, model, max_pixels, asked,
       "right" AS n_right, valid AS n_valid, malformed AS n_malformed, low, high, above
FROM part.arms;
COMMENT ON TABLE arms IS 'Counts of what was asked beside the gates, per question, with 95 % intervals (Wilson): '
    'fresh = survivors once more without tools, blind = without the image, pixels = at another size, '
    'stronger = another model; above = no longer hard, of the arm blind answerable blind.';

CREATE TABLE suspicions AS
SELECT question_id, answer, agreeing, valid, families, single_family, contradicts, reached FROM part.suspicions;
COMMENT ON TABLE suspicions IS 'Questions whose stored answer several attempts contradict alike, and those (contradicts = false) '
    'where they agree on words that nobody could compare with it; of those with reached = true other attempts came to the '
    'stored answer, so that nothing was rejected.';

CREATE TABLE votes AS SELECT record_id, question_id, asked, model, prompt, votes, verdict FROM part.votes;
COMMENT ON TABLE votes IS 'What a judge model said about answers of rollouts and about questions, vote by vote.';

CREATE TABLE dropped_hits AS
SELECT trajectory_id, question_id, turn, rank, tool, url, title, snippet, published, reason, score FROM part.dropped_hits;
COMMENT ON TABLE dropped_hits IS 'Hits of searches that a rollout was not shown, and why: denied_site, copy_of_picture (the '
    'question''s own, on a site that holds data sets), holds_question, after_as_of, no_picture. turn and rank count from 0.';

CREATE TABLE templates AS
SELECT question_id, template, questions AS n_questions, majority, share, is_majority FROM part.templates;
COMMENT ON TABLE templates IS 'How predictable the answer of every question is from its wording alone.';

CREATE TABLE personal_data AS SELECT record_id, question_id, field, kind, n FROM part.personal;
COMMENT ON TABLE personal_data IS 'How often each kind of personal data stands in a field of a question (question, answers, '
    'meta) or of a trajectory (the others); person_identity = the question asks who its picture shows. Never what was found.';

CREATE TABLE keys AS
SELECT id AS trajectory_id, question_id, source, category, sample, lane, skeleton, loss_tokens, row_tokens FROM part.keys;
COMMENT ON TABLE keys IS 'Valid trajectories as select sees them: what they teach, and the tokens that a trainer learns, '
    'and reads in all.';

CREATE TABLE duplicates AS SELECT question_id, cluster_id, representative, pictures FROM part.clusters;
COMMENT ON TABLE duplicates IS 'Cluster of every question, whatever its answers, and which question is kept in its place '
    '(itself, unless it is a repeat); pictures names all that are tied to its own, empty without any.';

CREATE TABLE conflicts AS SELECT question_id, other, verdict FROM part.conflicts;
COMMENT ON TABLE conflicts IS 'Equal questions over pixel-equal pictures whose stored answers do not agree, from both '
    'sides: contradicting ones are both rejected, of undecided ones the first is kept.';

CREATE TABLE pictures AS
SELECT question_id, sha256, width, height, phash, dhash, contrast, pixels FROM part.facts;
COMMENT ON TABLE pictures IS 'What the screen measured on each picture of each question: distances are '
    'bit_count(xor(a.phash, b.phash)); pixels are equal for two files that show exactly the same.';

CREATE TABLE near_texts AS SELECT question_id, other, share, answers, dropped FROM part.near_texts;
COMMENT ON TABLE near_texts IS 'Questions over one picture, or without any, that read nearly alike (share = Jaccard index of '
    'n-grams of four characters): question_id is the one that would go, and went where dropped; other the one that stays.';

CREATE TABLE benchmark_hits AS SELECT question_id, benchmark, "by", bits, share, stopped FROM part.hits;
COMMENT ON TABLE benchmark_hits IS 'What of which benchmark a question was found to be: bits = distance of their pictures in '
    'phash, share = how much of the text; stopped = rejected for it, else for a person to look at (review_queue).';

CREATE TABLE decisions AS SELECT record_id AS trajectory_id, filter, version, outcome, reason, score FROM part.decisions;
COMMENT ON TABLE decisions IS 'What every validator said about every attempt of a teacher.';

CREATE TABLE replays AS
SELECT trajectory_id, 'validate' AS made_by, verdict, cells, detail FROM part.replays
UNION ALL
SELECT trajectory_id, 'replay', verdict, cells, detail FROM part.repeated;
COMMENT ON TABLE replays IS 'Trajectories executed again, by the stage validate and by the last `coldforge replay`: '
    'identical, soft (pictures differ by rounding), nondeterministic, or failed (what ran no longer does).';

CREATE TABLE stock_env AS SELECT trajectory_id, label, "by", reasons, cell FROM part.stock;
COMMENT ON TABLE stock_env IS 'Whether DeepEyesV2''s own environment would show what a valid trajectory says, as exports tell it.';

CREATE TABLE shards AS SELECT * FROM part.shards;
COMMENT ON TABLE shards IS 'Exports of the run.';

CREATE TABLE cost AS SELECT * FROM part.cost;
COMMENT ON TABLE cost IS 'Time, and calls paid for or answered from the store, per invocation of run and stage.';

CREATE TABLE prices AS SELECT * FROM part.prices;
COMMENT ON TABLE prices IS 'List price per million tokens of every model that has one, by what it was asked for.';

CREATE TABLE labels AS
SELECT q.question_id,
       g.difficulty, g.plain_right, g.plain_valid, g.benefit, g.benefit_low, g.benefit_high,
       blind.n_right AS blind_right, blind.n_valid AS blind_valid,
       blind.above AS answerable_blind,
       sharp.above AS resolution_artifact, g.chance, g.by_floor,
       t.template,
       CASE WHEN t.n_questions > 1 THEN t.majority END AS majority_answer,
       CASE WHEN t.n_questions > 1 THEN t.share END AS majority_share,
       CASE WHEN t.n_questions > 1 THEN t.is_majority END AS is_majority
FROM questions q
LEFT JOIN part.counts g USING (question_id)
LEFT JOIN arms blind ON blind.question_id = q.question_id AND blind.arm = 'blind'
LEFT JOIN gate_settings s ON true
LEFT JOIN arms sharp
  ON sharp.question_id = q.question_id AND sharp.arm = 'pixels' AND sharp.max_pixels = s.deploy_pixels
LEFT JOIN templates t ON t.question_id = q.question_id;
COMMENT ON TABLE labels IS 'What is known about each question, null where it was not asked: difficulty = share wrong '
    'without tools, of questions that were asked all k times; benefit = share right with tools, call or no '
    'call, minus that of the fresh arm, with its 95 % interval (Newcombe); resolution_artifact = no longer hard at '
    'deploy_pixels; by_floor = sent to the teachers by the guess floor alone; the majority is of questions worded alike, where there are others.';

CREATE VIEW review_queue AS
SELECT question_id, source, category, text, choices, stored_answers, why, suspected_answer, agreeing, valid, families,
       single_family, contradicts, other
FROM (
    SELECT s.question_id, q.source, q.category, q.text, q.choices, q.answers AS stored_answers,
           CASE WHEN NOT s.contradicts THEN 'other_words' WHEN s.reached THEN 'disputed_gold'
                ELSE 'suspected_wrong_gold' END AS why,
           s.answer AS suspected_answer, s.agreeing, s.valid, s.families,
           s.single_family, s.contradicts, NULL AS other,
           CASE WHEN NOT s.contradicts THEN 3 WHEN s.reached THEN 1 ELSE 0 END AS place
    FROM suspicions s JOIN questions q USING (question_id)
    UNION ALL
    SELECT c.question_id, q.source, q.category, q.text, q.choices, q.answers, c.verdict || '_answers',
           array_to_string(o.answers, '; '), NULL, NULL, NULL, NULL, NULL, c.other, 2
    FROM conflicts c JOIN questions q USING (question_id) JOIN questions o ON o.question_id = c.other
    UNION ALL
    SELECT h.question_id, q.source, q.category, q.text, q.choices, q.answers, 'near_benchmark', h.benchmark, NULL, NULL,
           NULL, NULL, NULL, NULL, 4
    FROM benchmark_hits h JOIN questions q USING (question_id) WHERE NOT h.stopped
)
ORDER BY place, single_family, agreeing / valid DESC, why, least(question_id, other), question_id;
COMMENT ON VIEW review_queue IS 'Questions for a person to look at, the surest suspicion first: attempts that contradict '
    'the stored answer (suspected_wrong_gold; disputed_gold where others come to it); equal questions over equal pictures with other answers '
    '(contradicting_answers, undecided_answers; other is the question, suspected_answer its answers); attempts that '
    'agree in other words than the stored answer (other_words); a picture and a text that are both near to those of a '
    'benchmark (near_benchmark; suspected_answer is the benchmark).';

CREATE VIEW duplicate_pairs AS
WITH seen AS (
  SELECT c.question_id, c.other,
         CASE WHEN c.verdict = 'contradicting' THEN 'dropped: answers contradict'
              WHEN d.question_id <> d.representative THEN 'dropped: answers undecided'
              ELSE 'kept: answers undecided' END AS verdict,
         NULL::DOUBLE AS share, CASE WHEN c.verdict = 'contradicting' THEN 0 ELSE 1 END AS place
  FROM conflicts c JOIN duplicates d USING (question_id)
  UNION ALL
  SELECT question_id, representative, 'dropped: a repeat', NULL, 2 FROM duplicates WHERE question_id <> representative
  UNION ALL
  SELECT d.question_id, f.question_id, 'kept: answers differ', NULL, 3
  FROM duplicates d JOIN (SELECT cluster_id, min(question_id) AS question_id FROM duplicates
                          WHERE question_id = representative GROUP BY cluster_id) f USING (cluster_id)
  WHERE d.question_id = d.representative AND d.question_id <> f.question_id
    AND d.question_id NOT IN (SELECT question_id FROM conflicts)
  UNION ALL
  SELECT question_id, other, CASE WHEN dropped THEN 'dropped: near text' ELSE 'kept: near text' END, share, 4
  FROM near_texts
), pairs AS (
  -- A pair may be seen from both sides, and as a repeat too: it is told once, by what says most, of whom is dropped.
  SELECT question_id, other, verdict, share FROM seen
  QUALIFY row_number() OVER (PARTITION BY least(question_id, other), greatest(question_id, other)
                             ORDER BY place, verdict, question_id) = 1
), apart AS (
  SELECT a.question_id, b.question_id AS other, min(bit_count(xor(a.phash, b.phash))) AS phash_bits,
         min(bit_count(xor(a.dhash, b.dhash))) AS dhash_bits
  FROM (SELECT DISTINCT question_id, other FROM pairs) p
  JOIN pictures a ON a.question_id = p.question_id JOIN pictures b ON b.question_id = p.other GROUP BY ALL
)
SELECT p.question_id, p.other, p.verdict, a.phash_bits, a.dhash_bits, p.share
FROM pairs p LEFT JOIN apart a USING (question_id, other)
ORDER BY p.verdict, p.question_id, p.other;
COMMENT ON VIEW duplicate_pairs IS 'Pairs of questions that are one, or nearly, each once: what became of question_id beside '
    'other, the least distance of their pictures in bits, and the share of their texts where those are only near.';

CREATE VIEW attempts AS
SELECT question_id, trajectory_id, stage, arm, mode, sample, model, verdict, finish, n_turns, answer
FROM trajectories WHERE purpose = 'gate';
COMMENT ON VIEW attempts IS 'Gate rollouts; arm main decided the gate, the others were asked beside it.';

CREATE VIEW endings AS
WITH last AS (SELECT trajectory_id, arg_max(labels, turn) AS labels FROM turns GROUP BY trajectory_id),
ended AS (
  SELECT t.*, CASE WHEN finish = 'answer' THEN verdict ELSE coalesce(array_to_string(labels, ', '), '') END AS cause
  FROM trajectories t LEFT JOIN last USING (trajectory_id) WHERE arm <> 'long_cot' AND parent IS NULL
)
SELECT stage, arm, mode, model, finish, cause, count(*) AS n,
       count(*) / sum(count(*)) OVER (PARTITION BY stage, arm, mode, model) AS share,
       min(trajectory_id) AS example, min(nullif(detail, '')) AS detail
FROM ended GROUP BY stage, arm, mode, model, finish, cause
ORDER BY stage, arm, mode, model, n DESC, finish, cause;
COMMENT ON VIEW endings IS 'How rollouts ended, by stage, arm and model: an answer with its verdict, or what ended them '
    'with what was wrong about the last message; detail = the words of a server that refused; example = one of them.';

CREATE VIEW tool_calls AS SELECT * FROM turns WHERE action IN ('python', 'image_search', 'search');
COMMENT ON VIEW tool_calls IS 'Turns that called a tool.';

CREATE VIEW model_calls AS SELECT invocation, stage, model_calls AS paid, cached_calls AS cached FROM cost;
COMMENT ON VIEW model_calls IS 'Model samples paid for, and calls of any kind answered from the store.';

CREATE VIEW funnel AS
SELECT stage, o.unit, o.source, o.category, count(*) AS n_in,
       count(*) FILTER (outcome = 'kept') AS kept,
       count(*) FILTER (outcome = 'rejected') AS rejected,
       count(*) FILTER (outcome = 'quarantined') AS quarantined,
       count(*) FILTER (outcome = 'kept') / count(*) AS pass_rate
FROM outcomes o JOIN stages s USING (stage)
GROUP BY stage, o.unit, o.source, o.category, s.position
ORDER BY s.position, o.unit, o.source, o.category;
COMMENT ON VIEW funnel IS 'What went into each stage and what became of it; n_in = kept + rejected + quarantined.';

CREATE VIEW reasons AS
SELECT stage, o.unit, o.outcome, o.reason, count(*) AS n, min(o.record_id) AS example
FROM outcomes o JOIN stages s USING (stage)
WHERE o.outcome <> 'kept'
GROUP BY stage, o.unit, o.outcome, o.reason, s.position
ORDER BY s.position, n DESC, o.reason;
COMMENT ON VIEW reasons IS 'Why records were rejected or quarantined.';

CREATE VIEW yield_by_teacher AS
SELECT t.model, t.arm AS lane, count(*) AS attempts,
       count(*) FILTER (t.verdict = 'right') AS answered_right,
       CASE WHEN 'validate' IN (SELECT stage FROM stages) THEN count(*) FILTER (v.outcome = 'kept') END AS valid,
       CASE WHEN 'select' IN (SELECT stage FROM stages) THEN count(*) FILTER (s.outcome = 'kept') END AS selected
FROM trajectories t
LEFT JOIN outcomes v ON v.stage = 'validate' AND v.record_id = t.trajectory_id
LEFT JOIN outcomes s ON s.stage = 'select' AND s.record_id = t.trajectory_id
WHERE t.purpose = 'synthesis' AND t.parent IS NULL
GROUP BY t.model, t.arm
ORDER BY t.model, t.arm;
COMMENT ON VIEW yield_by_teacher IS 'Attempts of each teacher in each lane and how far they got, without what people made of '
    'them; of the lane long_cot, solutions of the source.';

CREATE VIEW way AS
WITH ran AS (SELECT stage FROM stages), reached AS (
  SELECT DISTINCT e.source, e.ingested_type AS answer_type, e.ingested_id AS id, o.stage,
         CASE WHEN o.stage IN ('gate2', 'select') THEN o.route ELSE '' END AS route
  FROM outcomes o JOIN every_question e USING (question_id) WHERE o.outcome = 'kept'
  UNION
  SELECT source, answer_type, question_id, 'ingest', '' FROM ingested
)
SELECT source, answer_type, count(*) FILTER (stage = 'ingest') AS ingested,
       CASE WHEN 'screen' IN (FROM ran) THEN count(*) FILTER (stage = 'screen') END AS screened,
       CASE WHEN 'decontaminate' IN (FROM ran) THEN count(*) FILTER (stage = 'decontaminate') END AS clean,
       CASE WHEN 'gate1' IN (FROM ran) THEN count(*) FILTER (stage = 'gate1') END AS gate1,
       CASE WHEN 'gate2' IN (FROM ran) THEN count(*) FILTER (stage = 'gate2' AND route = 'rl') END AS gate2_rl,
       CASE WHEN 'gate2' IN (FROM ran) THEN count(*) FILTER (stage = 'gate2' AND route = 'sft') END AS gate2_sft,
       CASE WHEN 'validate' IN (FROM ran) THEN count(*) FILTER (stage = 'validate') END AS validated,
       CASE WHEN 'select' IN (FROM ran) THEN count(*) FILTER (stage = 'select' AND route = 'sft') END AS sft,
       CASE WHEN 'select' IN (FROM ran) THEN count(*) FILTER (stage = 'select' AND route = 'rl') END AS rl
FROM reached GROUP BY source, answer_type ORDER BY ingested DESC, source, answer_type;
COMMENT ON VIEW way IS 'How many questions of each source and answer type (as ingested) every stage kept; of validate and '
    'sft those with a trajectory; null of a stage that has not run.';

CREATE VIEW selection_mix AS
WITH members AS (
  SELECT 0 AS position, 'ingest' AS stage, '' AS route, question_id AS id, source, category, answer_type FROM ingested
  UNION ALL
  SELECT DISTINCT s.position, o.stage, coalesce(o.route, ''), e.ingested_id, e.source, e.category, e.ingested_type
  FROM outcomes o JOIN stages s USING (stage) JOIN every_question e USING (question_id)
  WHERE o.outcome = 'kept' AND o.stage <> 'ingest'
), long AS (
  SELECT position, stage, route, 'source' AS field, source AS value FROM members
  UNION ALL SELECT position, stage, route, 'category', category FROM members
  UNION ALL SELECT position, stage, route, 'answer_type', answer_type FROM members
), counted AS (
  SELECT stage, route, field, value, count(*) AS n FROM long GROUP BY ALL
), sizes AS (
  SELECT position, stage, route, field, count(*) AS questions FROM long GROUP BY ALL
), began AS (
  SELECT field, value, n, n / sum(n) OVER (PARTITION BY field) AS share FROM counted WHERE stage = 'ingest'
)
SELECT s.stage, s.route, b.field, b.value, coalesce(c.n, 0) AS n, s.questions, coalesce(c.n, 0) / s.questions AS share,
       b.share AS ingested_share
FROM sizes s JOIN began b USING (field)
LEFT JOIN counted c ON (c.stage, c.route, c.field, c.value) = (s.stage, s.route, b.field, b.value)
ORDER BY s.position, s.route, b.field, b.share DESC, b.value;
COMMENT ON VIEW selection_mix IS 'Of what sources, categories and answer types (as ingested) the questions are that each '
    'stage kept on each route, beside what was ingested.';

CREATE VIEW selection_shift AS
SELECT m.stage, m.route, m.field, any_value(m.questions) AS questions,
       sum(abs(m.share - m.ingested_share)) / 2 AS distance,
       sum(sqrt(2 * m.ingested_share * (1 - m.ingested_share) / (pi() * m.questions)
                      * (i.n - m.questions) / greatest(i.n - 1, 1))) / 2 AS by_chance,
       arg_max(CASE WHEN m.share <> m.ingested_share THEN m.value END, abs(m.share - m.ingested_share)) AS most,
       arg_max(m.share - m.ingested_share, abs(m.share - m.ingested_share)) AS change
FROM selection_mix m CROSS JOIN (SELECT count(*) AS n FROM ingested) i JOIN stages s USING (stage)
GROUP BY m.stage, m.route, m.field, s.position ORDER BY s.position, m.route, m.field;
COMMENT ON VIEW selection_shift IS 'How far what a stage kept is from what was ingested: distance = total variation, half '
    'the sum of the differences of shares, from 0 (the same mix) to 1 (nothing in common); by_chance = what to expect of as '
    'many questions drawn blindly (normal approximation, without replacement); most, change = the value that changed most.';

CREATE VIEW teacher_yield AS
SELECT e.source, e.ingested_type AS answer_type, t.model AS teacher, count(DISTINCT t.question_id) AS questions,
       count(*) AS attempts, count(*) FILTER (t.finish = 'answer') AS answered,
       count(*) FILTER (t.verdict = 'right') AS answered_right,
       CASE WHEN 'validate' IN (SELECT stage FROM stages) THEN count(*) FILTER (v.outcome = 'kept') END AS valid,
       CASE WHEN 'validate' IN (SELECT stage FROM stages)
            THEN count(DISTINCT t.question_id) FILTER (v.outcome = 'kept') / count(DISTINCT t.question_id) END AS yield
FROM trajectories t JOIN every_question e USING (question_id)
LEFT JOIN outcomes v ON v.stage = 'validate' AND v.record_id = t.trajectory_id
WHERE t.purpose = 'synthesis' AND t.parent IS NULL
GROUP BY e.source, e.ingested_type, t.model ORDER BY count(*) FILTER (v.outcome IS DISTINCT FROM 'kept') DESC, source, answer_type, teacher;
COMMENT ON VIEW teacher_yield IS 'Attempts by source, answer type (as ingested) and teacher, and how far they got; yield = '
    'share of the questions with a valid one. What loses most stands first.';

CREATE VIEW validators AS
WITH failed AS (
  SELECT d.trajectory_id, d.filter, d.reason, d.score, o.question_id, o.detail = d.filter AS is_first,
         count(*) OVER (PARTITION BY d.trajectory_id) AS together
  FROM decisions d JOIN outcomes o ON o.stage = 'validate' AND o.record_id = d.trajectory_id WHERE d.outcome <> 'keep'
), served AS (
  SELECT DISTINCT question_id FROM outcomes WHERE stage = 'validate' AND outcome = 'kept'
)
SELECT filter, reason, count(*) AS failing, count(*) FILTER (is_first) AS first_failing,
       count(*) FILTER (together = 1) AS only_failing,
       count(DISTINCT question_id) FILTER (together = 1 AND question_id NOT IN (FROM served)) AS questions_gained,
       median(score) AS median_score
FROM failed GROUP BY ALL ORDER BY only_failing DESC, failing DESC, filter, reason;
COMMENT ON VIEW validators IS 'Attempts that each validator is against: first = it gave the outcome its reason; only = no '
    'other is, so that relaxing it alone would recover them, where a replay agrees (it is made of what passes all else); '
    'questions_gained = those of them that have no valid attempt yet.';

CREATE VIEW tool_mix AS
SELECT t.purpose, q.category, t.action, t.status, count(*) AS n
FROM tool_calls t JOIN questions q USING (question_id)
GROUP BY ALL
ORDER BY ALL;
COMMENT ON VIEW tool_mix IS 'Tool calls by purpose, category, tool and status.';

CREATE VIEW execution AS
SELECT purpose, count(*) AS trajectories, count(*) FILTER (cells > 0) AS executed,
       count(*) FILTER (cells > 0) / count(*) AS executed_share, sum(cells)::BIGINT AS cells
FROM (SELECT r.purpose, count(t.turn) AS cells
      FROM trajectories r
      LEFT JOIN turns t ON t.trajectory_id = r.trajectory_id AND t.action = 'python' AND t.observation IS NOT NULL
      -- The lane no_call runs under the tool prompt and is there not to call.
      WHERE r.mode = 'tools' AND r.arm IN ('main', 'tools')
      GROUP BY r.trajectory_id, r.purpose)
GROUP BY purpose
ORDER BY purpose;
COMMENT ON VIEW execution IS 'Rollouts that were to use tools (gate 2, lane tools), by purpose, and the share of them that '
    'executed at least one cell.';

CREATE VIEW cost_per_row AS
WITH spent AS (
  SELECT t.question_id, q.source, q.category, t.purpose, t.arm, t.model,
         CASE WHEN t.arm = 'long_cot' THEN 0 ELSE t.prompt_tokens + t.completion_tokens END AS tokens,
         (t.prompt_tokens * p.prompt + t.completion_tokens * p.completion) / 1e6 AS cost
  FROM trajectories t JOIN questions q USING (question_id) LEFT JOIN prices p USING (purpose, model)
), asked AS (
  SELECT DISTINCT model, question_id FROM spent WHERE purpose = 'synthesis' AND arm <> 'long_cot'
), shares AS (
  SELECT 'teacher' AS grouped_by, model AS name, purpose, tokens, cost
  FROM spent WHERE purpose = 'synthesis' AND arm <> 'long_cot'
  UNION ALL
  SELECT 'teacher', a.model, s.purpose, s.tokens, s.cost
  FROM asked a JOIN spent s ON s.question_id = a.question_id AND s.purpose = 'gate'
  UNION ALL
  SELECT 'source', source, purpose, tokens, cost FROM spent
  UNION ALL
  SELECT 'category', category, purpose, tokens, cost FROM spent
), accepted AS (
  SELECT o.unit, o.source, o.category, t.model
  FROM outcomes o LEFT JOIN trajectories t ON t.trajectory_id = o.record_id
  WHERE o.stage = 'select' AND o.outcome = 'kept'
), yields AS (
  SELECT 'teacher' AS grouped_by, model AS name, unit FROM accepted WHERE unit = 'trajectory'
  UNION ALL
  SELECT 'source', source, unit FROM accepted
  UNION ALL
  SELECT 'category', category, unit FROM accepted
), counted AS (
  SELECT grouped_by, name, count(*) FILTER (unit = 'trajectory') AS sft_rows, count(*) FILTER (unit = 'question') AS rl_rows
  FROM yields GROUP BY ALL
)
SELECT s.grouped_by, s.name,
       CASE WHEN 'select' IN (SELECT stage FROM stages) THEN coalesce(any_value(c.sft_rows), 0) END AS sft_rows,
       CASE WHEN 'select' IN (SELECT stage FROM stages) THEN coalesce(any_value(c.rl_rows), 0) END AS rl_rows,
       coalesce(sum(s.tokens) FILTER (s.purpose = 'gate'), 0)::BIGINT AS gate_tokens,
       coalesce(sum(s.tokens) FILTER (s.purpose = 'synthesis'), 0)::BIGINT AS synthesis_tokens,
       sum(s.tokens) / nullif(any_value(c.sft_rows + c.rl_rows), 0) AS tokens_per_row,
       sum(s.cost) FILTER (s.purpose = 'gate') AS gate_cost,
       sum(s.cost) FILTER (s.purpose = 'synthesis') AS synthesis_cost,
       sum(s.cost) / nullif(any_value(c.sft_rows + c.rl_rows), 0) AS cost_per_row
FROM shares s LEFT JOIN counted c USING (grouped_by, name)
GROUP BY s.grouped_by, s.name
ORDER BY s.grouped_by, s.name;
COMMENT ON VIEW cost_per_row IS 'Tokens and list price of all rollouts of a group, as if no store had answered and no '
    'provider had cached, over the rows that select kept of it. To a teacher belong the gates of every question that it '
    'was asked, so what several were asked counts for each.';
