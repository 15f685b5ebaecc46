// The viewer: what is chosen, where it stands in the address, and the keys.
"use strict";

(async () => {
  const byId = (id) => document.getElementById(id);
  const count = byId("count");
  let about;
  try {
    about = cf.about = await cf.value("about");
  } catch (error) {
    count.textContent = error.message;
    return;
  }
  document.title = `${about.run} · coldforge viewer`;
  const rows = cf.rows(about);
  const chosen = about.facets.map(() => new Set());
  const search = byId("search");
  const pane = byId("transcript");
  let found = new Uint32Array(0);
  let at = -1; // the chosen row of the index
  let wanted = ""; // an id that the address names and that no chunk has held so far
  const ID = /^[0-9a-f]{4,64}$/;
  let thoughts = false;
  let exact = false;

  // What the address says: `#id`, or names and values, of which `t` is the id and `q` the search.
  const read = () => {
    const said = location.hash.slice(1);
    const told = new URLSearchParams(said.includes("=") ? said : "");
    search.value = told.get("q") ?? "";
    about.facets.forEach((facet, i) => {
      chosen[i].clear();
      for (const word of told.getAll(facet.name)) if (facet.words.includes(word)) chosen[i].add(facet.words.indexOf(word));
    });
    const id = said.includes("=") ? told.get("t") ?? "" : said;
    wanted = ID.test(id) ? id.slice(0, 16) : "";
    // Who comes without a wish is shown what ships, or would: the teachers' attempts.
    const stage = about.facets.findIndex(({ name }) => name === "stage");
    if (!said.includes("=") && !wanted && about.facets[stage].words.includes("synthesize")) chosen[stage].add(about.facets[stage].words.indexOf("synthesize"));
  };
  const write = () => {
    const told = new URLSearchParams();
    if (at >= 0) told.set("t", rows.ids[at]);
    if (search.value) told.set("q", search.value);
    about.facets.forEach((facet, i) => chosen[i].forEach((place) => told.append(facet.name, facet.words[place])));
    history.replaceState(null, "", `#${told}`);
  };

  const labels = new Map(about.marks.map(({ word, label }) => [word, label]));
  const marking = cf.marking(about, () => {
    marks = marking.words();
    list.choose(position());
  });
  let marks = marking.words();

  const column = Object.fromEntries(about.facets.map(({ name }, i) => [name, i]));
  const list = cf.list(
    byId("list"),
    (position) => {
      const row = found[position];
      const question = rows.question[row];
      const [verdict] = cf.words(rows, column.verdict, row);
      const [stage] = cf.words(rows, column.stage, row);
      const [arm] = cf.words(rows, column.arm, row);
      const [reason] = cf.words(rows, column.reason, row);
      const mark = marks.get(rows.ids[row]);
      return [
        cf.foreign("span", rows.questions.texts[question].slice(0, 200), { class: "line" }),
        cf.el(
          "span",
          { class: "line quiet" },
          cf.badge(verdict, cf.kind(verdict)),
          mark && cf.badge(`marked ${labels.get(mark)}`, "plain"),
          cf.foreign("span", rows.answers[row].slice(0, 60) || "no answer", { class: "answer" }),
          cf.el("span", null, `${stage} · ${arm} · ${rows.turns[row]} turn${rows.turns[row] === 1 ? "" : "s"}${reason ? ` · ${reason}` : ""}`),
        ),
      ];
    },
    (position) => {
      select(found[position], true);
    },
  );

  const position = () => {
    let [low, high] = [0, found.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (found[middle] < at) low = middle + 1;
      else high = middle;
    }
    return found[low] === at ? low : -1;
  };

  const toList = () => {
    byId("list").focus();
    byId("list").scrollIntoView({ block: "center" });
  };
  // Not by the address, which names what is shown.
  for (const link of document.querySelectorAll(".skip")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      byId(link.getAttribute("href").slice(1)).focus();
    });
  }

  let systems = null;
  const render = async (row) => {
    try {
      systems ??= await cf.value("systems");
      const file = await cf.load(`transcripts-${rows.chunk[row]}`);
      if (row !== at) return; // another was chosen meanwhile
      const group = file.get(`group-${rows.questions.ids[rows.question[row]]}`);
      const trajectory = group.trajectories.find(({ id }) => id.startsWith(rows.ids[row]));
      const back = cf.el("button", { type: "button", class: "back", onclick: toList }, "Back to the list");
      marking.show(trajectory, group.question);
      pane.replaceChildren(back, ...cf.transcript(trajectory, group, systems).filter(Boolean));
      pane.scrollTop = 0;
      pane.classList.toggle("exact", exact);
      for (const fold of pane.querySelectorAll(".thought")) fold.open = thoughts;
    } catch (error) {
      marking.show(null);
      pane.replaceChildren(cf.el("p", { class: "bad" }, error.message));
    }
  };

  const narrow = matchMedia("(max-width: 900px)");
  const select = (row, byUser) => {
    at = row;
    const place = position();
    list.choose(place);
    if (place >= 0) list.reveal(place);
    write();
    render(row).then(() => {
      if (byUser && narrow.matches) pane.scrollIntoView();
    });
  };

  const tell = () => {
    const loading = rows.n < about.rows ? `, ${cf.number(rows.n)} read so far` : "";
    const cut = found.length > list.most ? `; the first ${cf.number(list.most)} are listed` : "";
    count.textContent = `${cf.number(found.length)} of ${cf.number(about.rows)} trajectories${loading}${cut}`;
  };
  const filter = () => {
    const made = cf.filter(rows, chosen, search.value);
    found = made.found;
    facets.update(made.counts);
    list.show(found.length, position());
    tell();
  };
  const refilter = () => {
    filter();
    const place = position();
    if (place >= 0) list.reveal(place, true);
    else byId("list").scrollTop = 0;
    write();
  };

  const facets = cf.facets(byId("facets"), about, chosen, refilter);
  let typing = 0;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(refilter, 120);
  });
  byId("clear").addEventListener("click", () => {
    for (const words of chosen) words.clear();
    search.value = "";
    facets.show();
    refilter();
  });

  const lookUp = () => {
    if (!wanted) return;
    let row = rows.ids.findIndex((id) => id?.startsWith(wanted));
    if (row < 0) {
      const question = rows.questions.ids.findIndex((id) => id.startsWith(wanted));
      row = question < 0 ? -1 : rows.question.indexOf(question);
    }
    if (row >= 0) {
      wanted = "";
      select(row, false);
    }
  };
  addEventListener("hashchange", () => {
    const id = location.hash.slice(1);
    if (ID.test(id)) {
      // A link to another rollout leaves the filters as they are.
      wanted = id.slice(0, 16);
    } else {
      read();
      facets.show();
      filter();
    }
    lookUp();
  });

  const step = (by) => {
    if (found.length === 0) return;
    const place = position();
    select(found[Math.min(Math.max(0, place < 0 ? 0 : place + by), Math.min(found.length, list.most) - 1)], false);
  };
  const stepQuestion = (by) => {
    let place = Math.max(0, position());
    const asked = rows.question[found[place]];
    while (found[place + by] !== undefined && rows.question[found[place]] === asked) place += by;
    if (by < 0) while (place > 0 && rows.question[found[place - 1]] === rows.question[found[place]]) place--;
    if (found[place] !== undefined) select(found[place], false);
  };
  const nextUnmarked = () => {
    const place = position();
    const end = Math.min(found.length, list.most);
    for (let ahead = 1; ahead <= end; ahead++) {
      const row = found[(place + ahead) % end];
      if (!marks.has(rows.ids[row])) return select(row, false);
    }
  };
  byId("unmarked").addEventListener("click", nextUnmarked);
  const KEYS = {
    ...marking.keys,
    u: nextUnmarked,
    j: () => step(1),
    ArrowRight: () => step(1),
    k: () => step(-1),
    ArrowLeft: () => step(-1),
    J: () => stepQuestion(1),
    K: () => stepQuestion(-1),
    "/": () => search.focus(),
    "?": () => byId("help").showModal(),
    t: () => {
      thoughts = !thoughts;
      for (const fold of pane.querySelectorAll(".thought")) fold.open = thoughts;
    },
    z: () => {
      exact = !exact;
      pane.classList.toggle("exact", exact);
    },
  };
  const IN_LIST = {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    PageDown: () => step(list.page()),
    PageUp: () => step(-list.page()),
    Home: () => step(-Infinity),
    End: () => step(Infinity),
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    const typed = event.target.matches("input:not([type=radio], [type=checkbox]), textarea");
    // Arrows choose among the marks where one of them has the focus.
    if (event.key.startsWith("Arrow") && event.target.matches("#marks input")) return;
    if (typed && event.key === "Escape") byId("list").focus();
    const scrolls = event.key.startsWith("Arrow") && event.target.closest(".scroll, pre");
    const act = typed || scrolls ? undefined : (event.target === byId("list") || event.target === document.body ? IN_LIST[event.key] : undefined) ?? KEYS[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  });
  byId("help-button").addEventListener("click", () => byId("help").showModal());
  const fold = () => {
    byId("facets-fold").open = !narrow.matches;
  };
  narrow.addEventListener("change", fold);
  fold();

  read();
  facets.show();
  for (let chunk = 0; chunk < about.index; chunk++) {
    try {
      cf.grow(rows, await cf.value(`index-${chunk}`));
    } catch (error) {
      count.textContent = error.message;
      return;
    }
    // The first is shown at once, then every eighth: filtering again for each would take longer than reading it.
    if (chunk % 8 === 0 || chunk === about.index - 1) filter();
    lookUp();
    if (at < 0 && !wanted && found.length) select(found[0], false);
  }
  if (wanted) {
    pane.replaceChildren(cf.el("p", { class: "bad" }, `No rollout of this run, and no question that was asked, has the id ${wanted}. Of a record that was stopped before, \`coldforge show\` tells more.`));
    wanted = "";
  }
  if (about.rows === 0) count.textContent = "This run has no trajectories yet.";
  document.documentElement.dataset.ready = "true";
})();
