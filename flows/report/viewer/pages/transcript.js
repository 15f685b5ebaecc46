// One trajectory: its question, its turns, what became of it, and the other rollouts of the same question.
"use strict";

(() => {
  const fact = (name, ...values) => [cf.el("dt", null, name), cf.el("dd", null, ...values)];
  const text = (value) => cf.foreign("span", String(value));

  const head = ({ id, verdict, stage, arm, answer, fate, purpose }, question) => [
    cf.foreign("h2", question.text, { class: "asked" }),
    cf.el(
      "p",
      { class: "badges" },
      cf.badge(verdict, cf.kind(verdict)),
      cf.badge(`${stage} · ${arm}`, "plain"),
      cf.badge(purpose === "gate" ? `question ${fate}` : fate, cf.kind(fate.split(":")[0])),
      ...question.labels.map((label) => cf.badge(label, "open")),
      cf.el("a", { href: `#${id}`, class: "quiet", "aria-label": `Link to trajectory ${id.slice(0, 12)}` }, id.slice(0, 12)),
    ),
    cf.el(
      "dl",
      { class: "facts" },
      ...fact("Answer", answer === null ? "none" : cf.foreign("strong", answer)),
      ...fact("Gold", text(question.answers.join(" · ")), ` (${question.answer_type}${question.tolerance === null ? "" : `, within ${question.tolerance} relative`})`),
      ...(question.choices.length ? fact("Options", text(question.choices.join(" · "))) : []),
    ),
  ];

  // The loss mask at a glance: a cell for each message, filled where a trainer learns it.
  const mask = ({ turns }) => {
    const cells = [cf.el("span", { class: "masked" }, "question")];
    turns.forEach((turn, i) => {
      cells.push(cf.el("span", { class: turn.loss ? "learnt" : "masked" }, `turn ${i + 1}`));
      if (turn.out !== undefined || turn.observation !== null) cells.push(cf.el("span", { class: "masked" }, "result"));
    });
    const learnt = turns.filter((turn) => turn.loss).length;
    return cf.el(
      "div",
      { class: "mask" },
      cf.el("p", { class: "quiet" }, `Loss mask: ${learnt} of ${turns.length} turns learnt (filled), everything else masked.`),
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
        cf.el("caption", null, caption),
        cf.el("thead", null, cf.el("tr", null, ...columns.map((column) => cf.el("th", { scope: "col" }, column)))),
        cf.el("tbody", null, ...rows.map((cells) => cf.el("tr", null, ...cells.map(cf.cell)))),
      ),
    );

  const life = (trajectory, question) => {
    const told = [...question.life.map((one) => ["question", ...one]), ...trajectory.life.map((one) => ["trajectory", ...one])];
    return told.length ? table("What became of it, stage by stage", ["record", "stage", "outcome", "route", "reason", "detail"], told) : null;
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
      ["id", "asked by", "arm", "sample", "model", "verdict", "answer"],
      group.trajectories.map((one) => [
        one.id === trajectory.id ? cf.el("strong", { "aria-current": "true" }, `${one.id.slice(0, 8)} (this)`) : cf.el("a", { href: `#${one.id}` }, one.id.slice(0, 8)),
        one.stage,
        one.arm,
        String(one.sample),
        one.model,
        cf.badge(one.verdict, cf.kind(one.verdict)),
        one.answer === null ? one.finish : one.answer.slice(0, 80),
      ]),
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
        ...["source", "source_revision", "source_row", "licence", "meta"].flatMap((name) => fact(name, text(question[name]))),
      ),
      cf.el("h4", null, "System prompt"),
      cf.block(systems[trajectory.system] || "none", { "aria-label": "System prompt" }),
      cf.el("h4", null, "User turn"),
      cf.block(trajectory.user, { "aria-label": "User turn" }),
    );

  // Returns the children of the transcript of one trajectory of `group`.
  cf.transcript = (trajectory, group, systems) => [
    ...head(trajectory, group.question),
    asked(trajectory),
    mask(trajectory),
    ...trajectory.turns.map((turn, i) => cf.turn(turn, i + 1, trajectory.images)),
    life(trajectory, group.question),
    validators(trajectory),
    siblings(trajectory, group),
    about(trajectory, group.question, systems),
  ];
})();
