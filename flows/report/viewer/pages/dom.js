// Elements with text in them. Text of others becomes a text node, never markup.
"use strict";

(() => {
  // Makes an element: attributes by name (`class`, `aria-…`), functions as listeners (`onclick`), then children.
  cf.el = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (value === null || value === undefined || value === false) continue;
      if (typeof value === "function") element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return element;
  };

  // Text by a model, a user or the web: of any direction, which must not reach beyond it.
  cf.foreign = (tag, text, attributes) => cf.el(tag, { dir: "auto", ...attributes }, text);

  cf.number = (value) => value.toLocaleString("en");

  const LONG = 20000; // characters that a block shows at first; a browser lays out more of them slowly
  // A block of text that keeps its lines; what is very long is cut until asked for.
  cf.block = (text, attributes, render = (shown) => [shown]) => {
    // A region that scrolls has to be reachable by keyboard.
    const block = cf.el("pre", { dir: "auto", tabindex: "0", ...attributes });
    block.append(...render(text.slice(0, LONG)));
    if (text.length <= LONG) return block;
    const more = cf.el("button", { type: "button" }, `Show all ${cf.number(text.length)} characters`);
    more.addEventListener("click", () => {
      block.replaceChildren(text);
      more.remove();
    });
    return cf.el("div", null, block, more);
  };

  // A cell of a table: what is short stays on its line.
  cf.cell = (content) =>
    cf.el("td", { dir: "auto", class: typeof content === "string" && content.length <= 24 ? "short" : null }, content ?? "");

  cf.badge = (text, kind) => cf.el("span", { class: `badge ${kind ?? ""}`, dir: "auto" }, text);

  const GOOD = new Set(["right", "ok", "kept", "keep", "answer"]);
  const BAD = new Set(["wrong", "rejected", "quarantined", "reject", "exception", "timeout", "died", "bad_call"]);
  // Whether a word of the records is good, bad or neither; it is always written out beside its colour.
  cf.kind = (word) => (GOOD.has(word) ? "good" : BAD.has(word) || word.startsWith("killed") ? "bad" : "open");
})();
