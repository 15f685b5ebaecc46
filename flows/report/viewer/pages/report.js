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
  document.title = `${about.run} · coldforge report`;
  document.getElementById("title").textContent = about.run;
  document.getElementById("about").textContent = `${cf.number(about.questions)} questions asked, ${cf.number(about.rows)} trajectories; coldforge ${about.version}, recipe ${about.recipe.slice(0, 12)}`;

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
    const stage = columns.indexOf("stage");
    // What was stopped before a model was asked has no transcript; `coldforge show` tells of it.
    const linked = (row) => !["ingest", "screen", "dedup", "decontaminate"].includes(row[stage]);
    const most = Math.max(1, ...all.map((row) => row[n]));
    return [show("reasons", { linked, extra: [{ header: "", cell: (row) => cf.el("div", { class: "share", "aria-hidden": "true" }, part(row[n], most, "part")) }] }), show("rights"), show("personal_data")];
  };

  const gates = () => {
    const found = rows("gate_histogram");
    const labels = found.map((row) => String(row.right));
    const chart = (name, caption, paint) =>
      found.some((row) => row[name]) ? cf.bars(caption, labels, found.map((row) => row[name]), { x: "right rollouts", paint }) : null;
    return [
      cf.el("p", null, "Right rollouts of each question. The placebo asks what survived gate 1 once more without tools: what rises there rose by chance, and only what gate 2 shows beyond it is due to the tools."),
      cf.el("div", { class: "charts" }, chart("gate1", "Gate 1: without tools", "accent"), chart("placebo", "Placebo: survivors, again without tools", "second"), chart("gate2", "Gate 2: survivors, right after a call", "good")),
      ...["gate_histogram", "placebo", "benefit", "help", "routes", "arms", "without_answer", "guess_floor", "unjudged"].map((name) => show(name)),
    ];
  };

  const lengths = (name, label, count, x) =>
    cf.el("div", { class: "charts" }, ...by(name, "stage").map(([stage, found]) => cf.bars(stage, found.map((row) => String(row[label])), found.map((row) => row[count]), { x })));

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
    ["Rollouts", () => [cf.el("h3", null, "Turns"), lengths("turns", "turns", "rollouts", "turns"), show("turns"), cf.el("h3", null, "How they ended"), show("endings")]],
    ["Tools", () => [show("tool_mix"), show("execution"), show("replays"), show("dropped_hits")]],
    ["Tokens", () => [cf.el("p", { class: "quiet" }, "Completion tokens of a rollout; a bar holds those from its number up to twice that."), lengths("tokens", "at_least", "rollouts", "completion tokens"), show("token_sums"), show("tokens")]],
    ["Cost", () => [show("cost"), show("cost_per_row")]],
    ["Teachers", () => [show("yield_by_teacher")]],
    ["Selection", () => [show("selection_shift"), show("selection_mix"), show("mix")]],
    ["Duplicates", () => [cf.el("p", null, cf.el("a", { href: "duplicates.html" }, "All pairs beside each other, with their pictures")), show("duplicate_verdicts"), show("near_texts"), show("benchmark_hits")]],
    ["Samples", samples],
    // Whatever table is new to `stats` is shown here until it has a place of its own.
    ["Exports", () => [show("shards"), ...[...tables.keys()].filter((name) => !used.has(name)).map((name) => show(name))]],
  ];
  const main = document.getElementById("content");
  const tile = (name, value, note) => cf.el("div", null, cf.el("dt", null, name), cf.el("dd", null, cf.number(value)), note ? cf.el("dd", null, note) : null);
  const shards = by("shards", "shard").map(([shard, made]) =>
    tile(`${shard.toUpperCase()} rows`, Math.max(...made.map((one) => one.n_rows)), made.map((one) => one.format).join(", ")),
  );
  main.append(cf.el("dl", { class: "tiles" }, tile("Questions asked", about.questions), tile("Trajectories", about.rows), ...shards));
  for (const [title, build] of sections) {
    const content = build().filter(Boolean);
    if (content.length === 0) continue;
    const id = title.toLowerCase();
    main.append(cf.el("section", { id, "aria-labelledby": `${id}-title` }, cf.el("h2", { id: `${id}-title` }, title), ...content));
    document.getElementById("contents").append(cf.el("li", null, cf.el("a", { href: `#${id}` }, title)));
  }
  status.remove();
  cf.drawCharts();
  document.documentElement.dataset.ready = "true";
})();
