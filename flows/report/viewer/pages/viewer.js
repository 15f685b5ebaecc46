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
  let distinct = 0; // questions that these are of
  let at = -1; // the chosen row of the index
  let wanted = ""; // an id that the address names and that no chunk has held so far
  const ID = /^[0-9a-f]{4,64}$/;
  let typing = 0; // the timer of a search that is being typed
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

  // What two lines of the list hold of a longer text: its beginning, and its end where what is asked may stand.
  const WIDE = 7.6; // pixels of a character, rather too many
  const RAGGED = 12; // characters that the breaks of two lines may cost
  const fit = (drawn) => {
    const lines = drawn.map((row) => row.querySelector(".line"));
    const half = Math.max(18, Math.floor((byId("list").clientWidth - 26) / WIDE) - RAGGED / 2 - 1);
    for (const line of lines.filter((one) => one.scrollHeight > one.clientHeight + 1)) {
      const text = line.textContent;
      line.textContent = `${text.slice(0, half).replace(/\s+\S{0,15}$/, "")} … ${text.slice(-half).replace(/^\S{0,15}\s+/, "")}`;
    }
  };

  const column = Object.fromEntries(about.facets.map(({ name }, i) => [name, i]));
  const list = cf.list(
    byId("list"),
    (position) => {
      const row = found[position];
      const question = rows.question[row];
      const [verdict = "not asked"] = cf.words(rows, column.verdict, row);
      const [stage] = cf.words(rows, column.stage, row);
      const [arm = ""] = cf.words(rows, column.arm, row);
      const [reason] = cf.words(rows, column.reason, row);
      const mark = marks.get(rows.ids[row]);
      return [
        cf.foreign("span", rows.questions.texts[question], { class: "line" }),
        cf.el(
          "span",
          { class: "line quiet" },
          cf.badge(verdict, cf.kind(verdict)),
          mark && cf.badge(`marked ${labels.get(mark)}`, "plain"),
          arm && cf.foreign("span", rows.answers[row].slice(0, 60) || "no answer", { class: "answer" }),
          cf.el("span", null, [...(arm ? [stage, arm, `${rows.turns[row]} turn${rows.turns[row] === 1 ? "" : "s"}`] : []), ...(reason ? [reason] : [])].join(" · ")),
        ),
      ];
    },
    (position) => {
      select(found[position], true);
    },
    fit,
  );

  // Where the chosen row stands in the list, or would stand.
  const place = () => {
    let [low, high] = [0, found.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (found[middle] < at) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const position = () => (found[place()] === at ? place() : -1);

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
      const trajectory = group.trajectories.find(({ id }) => id.startsWith(rows.ids[row])) ?? null;
      const back = cf.el("button", { type: "button", class: "back", onclick: toList }, "Back to the list");
      marking.show(trajectory, group.question);
      pane.replaceChildren(back, ...(trajectory ? cf.transcript(trajectory, group, systems) : cf.unasked(group)).filter(Boolean));
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
    const shown = position();
    list.choose(shown);
    if (shown >= 0) list.reveal(shown);
    else list.reveal(Math.min(place(), Math.max(0, found.length - 1)));
    tell();
    write();
    render(row).then(() => {
      if (byUser && narrow.matches) pane.scrollIntoView();
    });
  };

  const tell = () => {
    const loading = rows.n < about.rows ? `, ${cf.number(rows.n)} read so far` : "";
    const cut = found.length > list.most ? `; the first ${cf.number(list.most)} are listed` : "";
    const made = about.rows - about.unasked;
    const trajectories = `${cf.number(made)} trajector${made === 1 ? "y" : "ies"}`;
    const all = about.unasked ? `${cf.number(about.rows)}: ${trajectories}, ${cf.number(about.unasked)} stopped before` : trajectories;
    const questions = `; these are of ${cf.number(distinct)} question${distinct === 1 ? "" : "s"}`;
    count.textContent = `${cf.number(found.length)} of ${all}${found.length ? questions : ""}${loading}${cut}`;
    byId("outside").hidden = at < 0 || position() >= 0;
  };
  const filter = () => {
    const made = cf.filter(rows, chosen, search.value);
    found = made.found;
    // Rows of one question stand together.
    distinct = found.reduce((sum, row, i) => sum + (i === 0 || rows.question[row] !== rows.question[found[i - 1]]), 0);
    facets.update(made.counts);
    list.show(found.length, position());
    tell();
  };
  // What is shown is of the list: the first of it, where the one before is no longer in it.
  const showListed = () => {
    if (position() >= 0) return list.reveal(position(), true);
    byId("list").scrollTop = 0;
    if (found.length) return select(found[0], false);
    at = -1;
    marking.show(null);
    const beyond = search.value && chosen.some((words) => words.size) ? cf.filter(rows, chosen.map(() => new Set()), search.value).found.length : 0;
    const all = cf.el("button", { type: "button" }, "Search without filters");
    all.addEventListener("click", () => {
      for (const words of chosen) words.clear();
      facets.show();
      refilter();
    });
    pane.replaceChildren(
      cf.el("p", { class: "quiet" }, `Nothing passes the filters and the search.${beyond ? ` Without filters the search finds ${cf.number(beyond)}.` : ""}`),
      ...(beyond ? [cf.el("p", null, all)] : []),
    );
    tell();
  };
  const refilter = () => {
    clearTimeout(typing);
    filter();
    showListed();
    write();
  };

  const facets = cf.facets(byId("facets"), about, chosen, refilter);
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(refilter, 120);
  });
  search.addEventListener("keydown", (event) => {
    if (event.isComposing || !["Escape", "Enter"].includes(event.key)) return;
    event.preventDefault();
    if (event.key === "Escape") search.value = "";
    refilter();
    byId("list").focus();
    if (event.key === "Enter" && found.length) select(found[0], true);
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
  // An address that names nothing of this report shows nothing else in its place.
  const unknown = () => {
    if (!wanted) return;
    const all = cf.el("button", { type: "button" }, "Show all");
    all.addEventListener("click", () => byId("clear").click());
    marking.show(null);
    pane.replaceChildren(
      cf.el("p", { class: "bad" }, `Nothing in this report has the id ${wanted}.`),
      cf.el("p", null, "It is of another run, or it was typed wrongly; or it was stopped before a model was asked, for a reason of which only the first thousand are in this folder. Whoever has the run itself sees it by “coldforge show”."),
      cf.el("p", null, all),
    );
    wanted = "";
    at = -1;
    found = found.subarray(0, 0);
    list.show(0, -1);
    count.textContent = "No such id";
    byId("outside").hidden = true;
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
      if (!wanted) showListed();
    }
    lookUp();
    unknown();
  });

  const step = (by) => {
    if (found.length === 0) return;
    // From outside of the list its place lies between two rows.
    const from = position() < 0 && by > 0 ? place() - 1 : place();
    select(found[Math.min(Math.max(0, from + by), Math.min(found.length, list.most) - 1)], false);
  };
  const stepQuestion = (by) => {
    if (at < 0) return;
    const asked = rows.question[at];
    let next = position() < 0 && by > 0 ? place() - 1 : place();
    do next += by;
    while (found[next] !== undefined && rows.question[found[next]] === asked);
    if (found[next] === undefined) return;
    if (by < 0) while (next > 0 && rows.question[found[next - 1]] === rows.question[found[next]]) next--;
    select(found[next], false);
  };
  const nextUnmarked = () => {
    const from = position();
    const end = Math.min(found.length, list.most);
    for (let ahead = 1; ahead <= end; ahead++) {
      const row = found[(from + ahead) % end];
      if (rows.turns[row] > 0 && !marks.has(rows.ids[row])) return select(row, false);
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
    if (typed && event.target !== search && event.key === "Escape") byId("list").focus();
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
  if (wanted) unknown();
  else if (at < 0) showListed();
  if (about.rows === 0) count.textContent = "This run has no trajectories yet.";
  document.documentElement.dataset.ready = "true";
})();
