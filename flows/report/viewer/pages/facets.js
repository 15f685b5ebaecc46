// The filters: a box for each word of each facet, with how many trajectories it would show.
"use strict";

(() => {
  const SHOWN = 12;
  const OPEN = new Set(["stage", "category", "verdict", "fate", "reason", "tool"]);

  // Builds the filters into `place`; `change` is called after a choice. Returns `update(counts)` and `show(chosen)`.
  cf.facets = (place, about, chosen, change) => {
    const boxes = about.facets.map((facet, i) => {
      const made = facet.words.map((word, j) => {
        const box = cf.el("input", { type: "checkbox" });
        const count = cf.el("span", { class: "n" }, cf.number(facet.counts[j]));
        box.addEventListener("change", () => {
          if (box.checked) chosen[i].add(j);
          else chosen[i].delete(j);
          change();
        });
        const line = cf.el("label", { class: "choice", hidden: j >= SHOWN }, box, cf.foreign("span", word), count);
        return { box, count, line };
      });
      if (facet.words.length === 0) return made;
      const lines = made.map(({ line }) => line);
      if (made.length > SHOWN) {
        const more = cf.el("button", { type: "button" }, `${cf.number(made.length - SHOWN)} more`);
        more.addEventListener("click", () => {
          for (const line of lines) line.hidden = false;
          lines[SHOWN].querySelector("input").focus();
          more.remove();
        });
        lines.push(more);
      }
      const open = OPEN.has(facet.name) && facet.words.length > 1;
      place.append(
        cf.el(
          "details",
          { open },
          cf.el("summary", null, facet.title),
          cf.el("fieldset", null, cf.el("legend", { class: "unseen" }, facet.title), ...lines),
        ),
      );
      return made;
    });

    const each = (act) => boxes.forEach((made, i) => made.forEach((one, j) => act(one, i, j)));
    return {
      update: (counts) =>
        each(({ count, line }, i, j) => {
          count.textContent = cf.number(counts[i][j]);
          line.classList.toggle("none", counts[i][j] === 0);
        }),
      show: () =>
        each(({ box, line }, i, j) => {
          box.checked = chosen[i].has(j);
          if (box.checked) line.hidden = false;
        }),
    };
  };
})();
