// Tables of the report. Numbers come as `coldforge stats` prints them; nothing is computed or rounded here.
"use strict";

(() => {
  const ID = /^[0-9a-f]{64}$/;

  const written = (value) => (value === null ? "" : typeof value === "string" ? value : JSON.stringify(value));

  // The address of the viewer with such words of facets chosen.
  cf.filtered = (words) => `viewer.html#${new URLSearchParams(words)}`;

  // Returns a table as an element; `extra` adds cells to each row: `{header, cell(row)}`; `leads` has by column a function
  // from a row, by name, to where its number leads.
  cf.table = (table, { extra = [], leads = {} } = {}) => {
    const column = (i) => table.rows.map((row) => row[i]);
    const shown = table.columns.map((_, i) => i).filter((i) => column(i).some((value) => value !== null));
    const numeric = (i) => column(i).every((value) => value === null || typeof value === "number");
    const cell = (row, n, i) => {
      const value = row[i];
      if (typeof value === "string" && ID.test(value)) {
        const short = value.slice(0, 12);
        return cf.el("td", null, cf.el("a", { class: "id", href: `viewer.html#${value}` }, short));
      }
      const text = table.printed[i]?.[n] ?? written(value);
      const lead = leads[table.columns[i]];
      if (lead && value) return cf.el("td", { class: "number" }, cf.el("a", { href: lead(cf.named(table, row)) }, text));
      return numeric(i) ? cf.el("td", { class: "number" }, text) : cf.cell(text);
    };
    return cf.el(
      "div",
      { class: "scroll", tabindex: "0", role: "group", "aria-label": table.title || table.name },
      cf.el(
        "table",
        null,
        cf.el("caption", null, cf.el("span", null, table.title)),
        cf.el(
          "thead",
          null,
          cf.el(
            "tr",
            null,
            ...shown.map((i) => cf.el("th", { scope: "col", class: numeric(i) ? "number" : null }, table.headers[i])),
            ...extra.map(({ header }) => cf.el("th", { scope: "col" }, header)),
          ),
        ),
        cf.el("tbody", null, ...table.rows.map((row, n) => cf.el("tr", null, ...shown.map((i) => cell(row, n, i)), ...extra.map((one) => cf.el("td", null, one.cell(row)))))),
      ),
    );
  };

  // Returns a row of a table as an object by column.
  cf.named = (table, row) => Object.fromEntries(table.columns.map((name, i) => [name, row[i]]));
})();
