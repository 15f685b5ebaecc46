// One trajectory: its question, its turns, what became of it, and the other rollouts of the same question.
"use strict";

(() => {
  const fact = (name, ...values) => [cf.el("dt", null, name), cf.el("dd", null, ...values)];
  const text = (value) => cf.foreign("span", String(value));

  const LONG = 480; // characters, and lines, of a question beyond which it is folded
  const LINES = 6;
  // A question as an element, with a button where it is long.
  const folded = (tag, question, name, id) => {
    const lines = question.split("\n").length;
    if (question.length <= LONG && lines <= LINES) return [cf.foreign(tag, question, { class: name })];
    const whole = cf.foreign(tag, question, { class: `${name} long folded`, id });
    const all = cf.el("button", { type: "button", class: "unfold", "aria-controls": id });
    const told = () => {
      const short = whole.classList.contains("folded");
      all.setAttribute("aria-expanded", String(!short));
      all.textContent = short ? `Show all of the question (${cf.number(question.length)} characters${lines === 1 ? "" : `, ${cf.number(lines)} lines`})` : "Fold the question";
    };
    all.addEventListener("click", () => {
      whole.classList.toggle("folded");
      told();
    });
    told();
    return [whole, all];
  };
  const heading = (question) => folded("h2", question.text, "asked", "asked");

  const head = ({ id, verdict, stage, arm, answer, fate, life }, question) => [
    ...heading(question),
    cf.el(
      "p",
      { class: "badges" },
      cf.badge(verdict, cf.kind(verdict)),
      cf.badge(`${stage} · ${arm}`, "plain"),
      // Where nothing was said of the rollout itself.
      cf.badge(life.length === 0 && fate.includes(":") ? `question ${fate}` : fate, cf.kind(fate.split(":")[0])),
      ...question.labels.map((label) => cf.badge(label, "open")),
      cf.el("a", { href: `#${id}`, class: "quiet", "aria-label": `Link to trajectory ${id.slice(0, 12)}` }, id.slice(0, 12)),
    ),
    cf.el(
      "dl",
      { class: "facts" },
      ...fact("Answer", answer === null ? "none" : cf.foreign("strong", answer)),
      ...gold(question),
    ),
  ];

  // Whether a trainer learns of it: what `select` kept for SFT is exported; gate rollouts and what was stopped never are.
  cf.learns = ({ purpose, fate }) => {
    if (purpose === "gate" || fate.startsWith("rejected") || fate.startsWith("quarantined")) return "no";
    if (fate === "no answer") return "no";
    return fate === "kept: select" || fate === "kept: publish" ? "yes" : "not yet";
  };

  // The loss mask at a glance: a cell for each message, filled where a trainer learns it.
  const mask = (trajectory) => {
    const { turns } = trajectory;
    const learns = cf.learns(trajectory);
    if (learns === "no") return cf.el("div", { class: "mask" }, cf.el("p", { class: "quiet" }, "In no export: nothing is learnt of it."));
    const cells = [cf.el("span", { class: "masked" }, "question")];
    turns.forEach((turn, i) => {
      cells.push(cf.el("span", { class: turn.loss ? "learnt" : "masked" }, `turn ${i + 1}`));
      if (turn.out !== undefined || turn.observation !== null) cells.push(cf.el("span", { class: "masked" }, "result"));
    });
    const learnt = turns.filter((turn) => turn.loss).length;
    return cf.el(
      "div",
      { class: "mask" },
      cf.el("p", { class: "quiet" }, `Loss mask: ${learnt} of ${turns.length} turns ${learns === "yes" ? "learnt" : "would be learnt, as soon as it is exported"} (filled), everything else masked.`),
      cf.el("div", { class: "strip", "aria-hidden": "true" }, ...cells),
    );
  };

  const asked = (trajectory) => {
    const crops = trajectory.images.map(() => []);
    trajectory.turns.forEach((turn, i) => {
      for (const [image, ...box] of turn.crops) crops[image]?.push({ turn: i + 1, box });
    });
    if (trajectory.images.length === 0) return cf.el("p", { class: "quiet" }, "Asked without a picture.");
    return cf.el("div", { class: "pictures" }, ...trajectory.images.map((image, i) => cf.picture(image, `image_${i + 1}`, crops[i])));
  };

  const table = (caption, columns, rows) =>
    cf.el(
      "div",
      { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
      cf.el(
        "table",
        null,
        cf.el("caption", null, cf.el("span", null, caption)),
        cf.el("thead", null, cf.el("tr", null, ...columns.map((column) => cf.el("th", { scope: "col" }, column)))),
        cf.el("tbody", null, ...rows.map((cells) => cf.el("tr", null, ...cells.map(cf.cell)))),
      ),
    );

  const ENDED = ["stage", "outcome", "reason", "route", "detail"];
  const ended = ([stage, outcome, route, reason, detail]) => [stage, outcome, reason, route, detail];
  const life = (trajectory, question) => {
    const told = [...question.life.map((one) => ["question", ...ended(one)]), ...trajectory.life.map((one) => ["trajectory", ...ended(one)])];
    return told.length ? table("What became of it, stage by stage", ["record", ...ENDED], told) : null;
  };

  // What failed comes first.
  const validators = ({ decisions }) =>
    decisions.length
      ? table(
          "Validators",
          ["validator", "outcome", "reason", "score"],
          decisions
            .toSorted((a, b) => (a[1] === "keep") - (b[1] === "keep"))
            .map(([filter, outcome, reason, score]) => [
              filter,
              cf.badge(outcome, cf.kind(outcome)),
              reason,
              score === null ? "" : String(Number(score.toPrecision(4))),
            ]),
        )
      : null;

  const siblings = (trajectory, group) =>
    table(
      "All rollouts of this question",
      ["id", "verdict", "answer", "asked by", "arm", "sample", "model"],
      group.trajectories.map((one) => [
        one.id === trajectory.id ? cf.el("strong", { "aria-current": "true" }, `${one.id.slice(0, 8)} (this)`) : cf.el("a", { href: `#${one.id}` }, one.id.slice(0, 8)),
        cf.badge(one.verdict, cf.kind(one.verdict)),
        one.answer === null ? one.finish : one.answer.slice(0, 80),
        one.stage,
        one.arm,
        String(one.sample),
        one.model,
      ]),
    );

  const provenance = (question) => ["source", "source_revision", "source_row", "licence", "meta"].flatMap((name) => (question[name] === "" ? [] : fact(name, text(question[name]))));

  const gold = (question) => [
    ...fact("Gold", text(question.answers.join(" · ") || "none"), question.answer_type ? ` (${question.answer_type}${question.tolerance === null ? "" : `, within ${question.tolerance} relative`})` : ""),
    ...(question.choices.length ? fact("Options", text(question.choices.join(" · "))) : []),
  ];

  // A question that another was dropped for.
  const beside = (one) =>
    cf.el(
      "section",
      { class: "beside" },
      cf.el("h3", null, `Beside it: ${one.verdict}`),
      cf.el("p", null, `${one.why}${one.bits ? ` The pictures are ${one.bits[0]} bits of phash and ${one.bits[1]} of dhash apart.` : ""}`),
      ...folded("p", one.text, "text", `beside-${one.id.slice(0, 16)}`),
      cf.el("dl", { class: "facts" }, ...fact("Gold", text(one.answers.join(" · "))), ...(one.choices.length ? fact("Options", text(one.choices.join(" · "))) : []), ...fact("Source", text(one.source)), ...fact("Its rollouts", cf.el("a", { href: `#${one.id}` }, one.id.slice(0, 12)))),
      cf.el("div", { class: "pictures" }, ...one.images.map((image, i) => cf.picture(image, `image_${i + 1} of the other`, [], false))),
    );

  const about = (trajectory, question, systems) =>
    cf.el(
      "details",
      { class: "aside" },
      cf.el("summary", null, "Provenance, prompts and ids"),
      cf.el(
        "dl",
        { class: "facts" },
        ...["id", "question_id", "model", "dialect", "sample", "seed", "finish", "detail", "view", "prompts", "sandbox", "parent"].flatMap((name) =>
          trajectory[name] === "" ? [] : fact(name, text(trajectory[name])),
        ),
        ...fact("tokens", `prompt ${cf.number(trajectory.tokens[0])}, completion ${cf.number(trajectory.tokens[1])}`),
        ...provenance(question),
      ),
      cf.el("h4", null, "System prompt"),
      cf.block(systems[trajectory.system] || "none", { "aria-label": "System prompt" }),
      cf.el("h4", null, "User turn"),
      cf.block(trajectory.user, { "aria-label": "User turn" }),
    );

  // Returns the children of the page of a question that no model was asked.
  cf.unasked = ({ question }) => [
    ...heading(question),
    cf.el(
      "p",
      { class: "badges" },
      cf.badge(question.fate, cf.kind(question.fate.split(":")[0])),
      question.reason && cf.badge(question.reason, "open"),
      ...question.labels.map((label) => cf.badge(label, "open")),
      cf.el("a", { href: `#${question.id}`, class: "quiet", "aria-label": `Link to question ${question.id.slice(0, 12)}` }, question.id.slice(0, 12)),
    ),
    cf.el("p", null, question.reason ? `No model was asked: it stopped before. ${question.cause}` : "No model was asked so far."),
    cf.el("dl", { class: "facts" }, ...gold(question)),
    question.images.length ? cf.el("div", { class: "pictures" }, ...question.images.map((image, i) => cf.picture(image, `image_${i + 1}`, [], false))) : cf.el("p", { class: "quiet" }, "No picture of it is stored."),
    ...question.beside.map(beside),
    table("What became of it, stage by stage", ENDED, question.life.map(ended)),
    cf.el("details", { class: "aside" }, cf.el("summary", null, "Where it is from"), cf.el("dl", { class: "facts" }, ...fact("id", text(question.id)), ...provenance(question))),
  ];

  // Returns the children of the transcript of one trajectory of `group`.
  cf.transcript = (trajectory, group, systems) => [
    ...head(trajectory, group.question),
    asked(trajectory),
    mask(trajectory),
    ...trajectory.turns.map((turn, i) => cf.turn(turn, i + 1, trajectory.images, cf.learns(trajectory))),
    life(trajectory, group.question),
    validators(trajectory),
    siblings(trajectory, group),
    about(trajectory, group.question, systems),
  ];
})();
