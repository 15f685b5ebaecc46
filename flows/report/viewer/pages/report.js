// The report: sections of tables and charts, in the order in which one asks about a run.
"use strict";

(async () => {
  const status = document.getElementById("status");
  let about;
  let given;
  try {
    [about, given] = await Promise.all([cf.value("about"), cf.value("tables")]);
  } catch (error) {
    status.textContent = error.message;
    return;
  }
  const tables = new Map(given.map((table) => [table.name, table]));
  const rows = (name) => tables.get(name).rows.map((row) => cf.named(tables.get(name), row));
  const asked = about.rows - about.unasked;
  document.title = `${about.run} · coldforge report`;
  document.getElementById("title").textContent = about.run;
  document.getElementById("about").textContent = `${cf.number(about.questions)} questions asked, ${cf.number(asked)} trajectories; coldforge ${about.version}, recipe ${about.recipe.slice(0, 12)}`;

  const roles = Object.entries(about.models ?? {}).map(([role, names]) => [role, [names].flat()]);
  if (roles.length) {
    const scripted = roles.some(([, names]) => names.some((name) => name.startsWith("reader/")));
    document.getElementById("about").after(
      cf.el("p", { dir: "auto" }, `Models: ${roles.map(([role, names]) => `${role} ${names.join(", ")}`).join("; ")}.`),
      ...(scripted ? [cf.el("p", { class: "bad" }, "Models whose name begins with reader/ are scripted: programs of the demo that read the pictures it draws. Their rates say nothing about any real model.")] : []),
    );
  }

  if (about.ahead) {
    const [next, ...rest] = about.ahead.stages;
    const where = about.ahead.begun ? `This run stopped in ${next}: what it did there is not told here` : `This run ended before ${next}`;
    const after = rest.length ? `, and nothing came to ${rest.join(", ")}` : "";
    document.getElementById("about").after(cf.el("p", { class: "outside", id: "ahead" }, `${where}${after}. The same “coldforge run” goes on from there; then write the report again.`));
  }

  const used = new Set();
  const show = (name, options) => {
    used.add(name);
    return tables.get(name)?.rows.length ? cf.table(tables.get(name), options) : null;
  };
  const part = (value, whole, kind) => {
    const bar = cf.el("span", { class: kind });
    bar.style.width = `${(100 * value) / whole}%`;
    return bar;
  };
  const by = (name, key) => [...Map.groupBy(rows(name), (row) => row[key])];

  const funnel = () => {
    const columns = tables.get("funnel").columns;
    const at = (row, name) => row[columns.indexOf(name)];
    const cell = (row) =>
      cf.el("div", { class: "share", "aria-hidden": "true" }, ...["kept", "rejected", "quarantined"].map((kind) => part(at(row, kind), at(row, "n_in"), kind)));
    const legend = cf.el("ul", { class: "legend", "aria-hidden": "true" }, ...["kept", "rejected", "quarantined"].map((kind) => cf.el("li", null, cf.el("i", { class: kind }), kind)));
    return [legend, show("funnel", { extra: [{ header: "kept, rejected, quarantined", cell }] })];
  };

  const reasons = () => {
    const { columns, rows: all } = tables.get("reasons");
    const n = columns.indexOf("n");
    const leads = { n: (row) => cf.filtered({ ...(row.unit === "trajectory" ? { stage: "synthesize" } : {}), reason: `${row.stage}: ${row.reason}` }) };
    const note = cf.el("p", { class: "quiet" }, "A number leads to its records in the viewer: of trajectories to these, of questions that were asked to their rollouts, of others to the questions themselves (the first thousand of a reason).");
    const most = Math.max(1, ...all.map((row) => row[n]));
    return [all.length ? note : null, show("reasons", { leads, extra: [{ header: "", cell: (row) => cf.el("div", { class: "share", "aria-hidden": "true" }, part(row[n], most, "part")) }] }), show("large_losses"), show("rights"), show("personal_data")];
  };

  const gates = () => {
    const found = rows("gates");
    const labels = found.map((row) => String(row.right));
    const total = (name) => found.reduce((sum, row) => sum + (row[name] ?? 0), 0);
    const share = (row, name) => (total(name) ? (100 * row[name]) / total(name) : 0);
    const top = Math.max(...found.flatMap((row) => ["gate1", "placebo", "gate2"].map((name) => share(row, name))));
    const lead = (name) => (row) => cf.filtered({ [name]: row.right });
    const chart = (name, caption, paint) =>
      total(name)
        ? cf.bars(`${caption}; n = ${cf.number(total(name))} questions`, labels, found.map((row) => share(row, name)), { x: "right rollouts", paint, top, unit: " %", address: (i) => lead(name)(found[i]) })
        : null;
    const passed = tables.get("placebo").rows.length
      ? cf.el("p", null, "“To rl” below is how many of these questions the comparison of gate 2 would send to rl: of the placebo by chance alone, since nothing but the draw differs from gate 1; what the tools pass beyond that is theirs. Nothing was routed by the placebo.")
      : null;
    return [
      cf.el("p", null, "Right rollouts of each question, as a share of the questions of that chart. The placebo asks what survived gate 1 once more without tools: what rises there rose by chance, and only what gate 2 shows beyond it is due to the tools. A bar, or a number of the table, leads to its questions."),
      cf.el("div", { class: "charts" }, chart("gate1", "Gate 1, without tools: all that were asked there", "accent"), chart("placebo", "Placebo, again without tools: survivors of gate 1 that were drawn for it", "second"), chart("gate2", "Gate 2, right after a call: all survivors of gate 1", "good")),
      show("gates", { leads: Object.fromEntries(["gate1", "placebo", "gate2"].map((name) => [name, lead(name)])) }),
      passed,
      ...["placebo", "benefit", "help", "routes", "arms", "without_answer", "guess_floor", "unjudged"].map((name) => show(name)),
    ];
  };

  const lengths = (name, label, count, x, lead = null) =>
    cf.el("div", { class: "charts" }, ...by(name, "stage").map(([stage, found]) => cf.bars(stage, found.map((row) => String(row[label])), found.map((row) => row[count]), { x, address: lead && ((i) => lead(found[i])) })));
  const turns = (row) => cf.filtered({ stage: row.stage, turns: row.turns });

  const TERMS = {
    arm: "What rollouts of one question are asked for: main decides a gate, the others are asked beside it and decide nothing but what is said here; of teachers it is the lane.",
    blind: "Arm: without the picture. Who is right there needs no picture (answerable_blind).",
    by_floor: "Label: right with tools as often as rl asks, yet no oftener than guessing explains; so it went to the teachers.",
    "fresh, placebo": "Arm: what survived gate 1, asked once more in the same way, without tools. It shows what chance alone moves.",
    lane: "What a row of SFT teaches: tools, or an answer without a call (no_call, plain_cot, long_cot).",
    "net benefit": "Share of rollouts that are right with tools, minus that in the fresh arm, as a share: 0.1 is ten more of a hundred.",
    past: "Of a stage: questions that an earlier one had sent elsewhere (rl, a lane), so that they go by it.",
    pixels: "Arm: at another picture size. Who is right there failed for the size, not for want of skill.",
    resolution_artifact: "Label: no longer hard at the size at which the student will be used (deploy_pixels).",
    saturated: "Reason: right with tools every time, so that rl can learn nothing of it.",
    stronger: "Arm: by another, stronger model.",
    suspected_wrong_gold: "Label: several attempts agree on an answer that contradicts the stored one.",
    undecided: "Too few rollouts gave an answer that could be graded; nothing is known of the question.",
  };
  const terms = () => [cf.el("dl", { class: "terms" }, ...Object.entries(TERMS).flatMap(([term, meaning]) => [cf.el("dt", null, term), cf.el("dd", null, meaning)]))];

  const samples = () => {
    used.add("samples");
    const cards = rows("samples").map((one) =>
      cf.el(
        "article",
        { class: "sample" },
        /^[0-9a-f]{64}$/.test(one.picture ?? "") ? cf.el("img", { src: `${about.blobs}/${one.picture.slice(0, 2)}/${one.picture}`, alt: `Picture of the question, ${one.width} × ${one.height}`, loading: "lazy" }) : null,
        cf.foreign("p", one.text, { class: "asked" }),
        cf.el("p", null, cf.badge(one.verdict, cf.kind(one.verdict)), " ", cf.badge(`${one.outcome}: ${one.stage}${one.reason ? `, ${one.reason}` : ""}`, cf.kind(one.outcome))),
        cf.foreign("p", one.answer === null ? "no answer" : one.answer.slice(0, 200)),
        cf.el("p", null, cf.el("a", { href: `viewer.html#${one.trajectory_id}` }, `${one.category}, ${one.n_turns} turn${one.n_turns === 1 ? "" : "s"}: transcript ${one.trajectory_id.slice(0, 8)}`)),
      ),
    );
    return cards.length ? [cf.el("div", { class: "samples" }, ...cards)] : [];
  };

  const sections = [
    ["Funnel", funnel],
    ["Reasons", reasons],
    ["Gates", gates],
    ["Rollouts", () => [cf.el("h3", null, "Turns"), lengths("turns", "turns", "rollouts", "turns", turns), show("turns", { leads: { rollouts: turns } }), cf.el("h3", null, "How they ended"), show("endings")]],
    ["Tools", () => [show("tool_mix"), show("execution"), show("replays"), show("dropped_hits")]],
    ["Tokens", () => [cf.el("p", { class: "quiet" }, "Completion tokens of a rollout; a bar holds those from its number up to twice that."), lengths("tokens", "at_least", "rollouts", "completion tokens"), show("token_sums"), show("tokens")]],
    ["Cost", () => [show("cost"), show("cost_per_row")]],
    ["Teachers", () => [show("yield_by_teacher"), show("teacher_yield"), show("validators")]],
    ["Selection", () => [show("way"), show("selection_shift"), show("selection_mix"), show("mix")]],
    ["Duplicates", () => [cf.el("p", null, cf.el("a", { href: "duplicates.html" }, "All pairs beside each other, with their pictures")), show("duplicate_verdicts"), show("near_texts"), show("benchmark_hits")]],
    ["Samples", samples],
    ["Terms", terms],
    ["Exports", () => [show("shards")]],
    // Whatever table is new to `stats` is shown here until it has a place of its own.
    ["More", () => [...tables.keys()].filter((name) => !used.has(name)).map((name) => show(name))],
  ];
  const main = document.getElementById("content");
  const tile = (name, value, note) => cf.el("div", null, cf.el("dt", null, name), cf.el("dd", null, cf.number(value)), note ? cf.el("dd", null, note) : null);
  const shards = by("shards", "shard").map(([shard, made]) =>
    tile(`${shard.toUpperCase()} rows`, Math.max(...made.map((one) => one.n_rows)), made.map((one) => one.format).join(", ")),
  );
  main.append(cf.el("dl", { class: "tiles" }, tile("Questions asked", about.questions), tile("Trajectories", asked), ...shards));
  const missing = [];
  // What only explains stands with what it explains, or not at all.
  const tells = (one) => one.matches(".scroll, .terms") || one.querySelector("figure, article") !== null;
  for (const [title, build] of sections) {
    const content = build().filter(Boolean);
    if (!content.some(tells)) {
      if (title !== "More") missing.push(title);
      continue;
    }
    const id = title.toLowerCase();
    main.append(cf.el("section", { id, "aria-labelledby": `${id}-title` }, cf.el("h2", { id: `${id}-title` }, title), ...content));
    document.getElementById("contents").append(cf.el("li", null, cf.el("a", { href: `#${id}` }, title)));
  }
  if (missing.length) document.querySelector(".tiles").after(cf.el("p", { class: "quiet" }, `Left out, since this run has nothing of it: ${missing.join(", ")}.`));
  status.remove();
  cf.drawCharts();
  document.documentElement.dataset.ready = "true";
})();
