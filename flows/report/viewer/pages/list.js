// A list of any length of which only the rows in sight are elements. All rows are of one height, which the style states
// (`--row`): that makes it as short as this, and a jump to any row exact.
"use strict";

(() => {
  const AROUND = 6; // rows beyond either end of the window, so that a slow paint shows no gap
  const MOST = 190000; // rows: browsers end an element at about 17 million pixels

  // Makes a list in `place`; `draw(position)` gives the children of a row, `choose(position)` is called on a choice, and
  // `fit(rows)` with the elements that were drawn, once they have their sizes.
  cf.list = (place, draw, choose, fit) => {
    const space = cf.el("div", { class: "space", role: "presentation" });
    place.append(space);
    let length = 0;
    let chosen = -1;
    let asked = false;
    const height = () => parseFloat(getComputedStyle(place).getPropertyValue("--row"));

    const paint = () => {
      asked = false;
      const row = height();
      const first = Math.max(0, Math.floor(place.scrollTop / row) - AROUND);
      const last = Math.min(length, Math.ceil((place.scrollTop + place.clientHeight) / row) + AROUND);
      const rows = [];
      for (let position = first; position < last; position++) {
        const option = cf.el(
          "div",
          {
            role: "option",
            class: "row",
            id: `row-${position}`,
            "aria-selected": position === chosen ? "true" : "false",
            "aria-setsize": length,
            "aria-posinset": position + 1,
          },
          ...draw(position),
        );
        option.style.top = `${position * row}px`;
        option.addEventListener("click", () => choose(position));
        rows.push(option);
      }
      space.replaceChildren(...rows);
      fit(rows);
      if (chosen >= first && chosen < last) place.setAttribute("aria-activedescendant", `row-${chosen}`);
      else place.removeAttribute("aria-activedescendant");
    };
    const soon = () => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(paint);
    };
    place.addEventListener("scroll", soon, { passive: true });
    new ResizeObserver(() => {
      space.style.height = `${length * height()}px`;
      soon();
    }).observe(place);

    return {
      // Shows so many rows, of which one is chosen (-1: none).
      show: (count, position) => {
        length = Math.min(count, MOST);
        chosen = position;
        space.style.height = `${length * height()}px`;
        soon();
      },
      choose: (position) => {
        chosen = position;
        soon();
      },
      // Scrolls as little as shows the row; `top` puts it at the upper end.
      reveal: (position, top) => {
        const row = height();
        if (position * row < place.scrollTop || top) place.scrollTop = position * row;
        else if ((position + 1) * row > place.scrollTop + place.clientHeight)
          place.scrollTop = (position + 1) * row - place.clientHeight;
        soon();
      },
      page: () => Math.max(1, Math.floor(place.clientHeight / height()) - 1),
      most: MOST,
    };
  };
})();
