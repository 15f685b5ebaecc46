// Steps through the articles of the page and keeps a mark for each. Nothing is sent anywhere: marks stay in this browser
// until they are saved to a file.
"use strict";
(() => {
  const page = document.body.dataset;
  const articles = [...document.querySelectorAll("article")];
  const form = document.querySelector("form");
  const words = [...form.elements.mark].map((radio) => radio.value);
  const kept = `coldforge-review:${page.sample}:${page.annotator}`;
  const marks = restored();
  let at = Math.max(0, articles.findIndex((one) => !marks.has(one.dataset.item)));

  // What lies in the browser's storage may be of anybody: only marks of this page's items are taken.
  function restored() {
    const found = new Map();
    try {
      const items = new Set(articles.map((one) => one.dataset.item));
      for (const [item, one] of Object.entries(JSON.parse(localStorage.getItem(kept)) || {})) {
        const told = one && (one.word === "" || words.includes(one.word)) && typeof one.comment === "string";
        if (told && items.has(item)) found.set(item, { word: one.word, comment: one.comment });
      }
    } catch { /* No storage, or none that is ours: the page begins anew, and says below that it keeps nothing. */ }
    return found;
  }

  function keep() {
    try {
      localStorage.setItem(kept, JSON.stringify(Object.fromEntries(marks)));
      return true;
    } catch {
      return false;
    }
  }

  function tell(kept_, said = "") {
    const done = articles.filter((one) => (marks.get(one.dataset.item) || {}).word).length;
    const warning = kept_ ? "" : " · this browser keeps nothing: save before you close the page";
    document.getElementById("told").textContent = `${at + 1} of ${articles.length} · ${done} marked${said && ` · ${said}`}${warning}`;
  }

  function show(place, focus) {
    at = Math.min(articles.length - 1, Math.max(0, place));
    articles.forEach((one, number) => one.classList.toggle("current", number === at));
    const own = marks.get(articles[at].dataset.item) || { word: "", comment: "" };
    for (const radio of form.elements.mark) radio.checked = radio.value === own.word;
    form.elements.comment.value = own.comment;
    window.scrollTo(0, 0);
    if (focus) articles[at].querySelector("h2").focus();
    tell(keep());
  }

  function read() {
    const word = form.elements.mark.value;
    const comment = form.elements.comment.value;
    if (word || comment) marks.set(articles[at].dataset.item, { word, comment });
    else marks.delete(articles[at].dataset.item);
    tell(keep());
  }

  // The key of the mark that is there takes it back.
  function choose(word) {
    const had = form.elements.mark.value;
    for (const radio of form.elements.mark) radio.checked = radio.value === word && word !== had;
    read();
  }

  function unmarked() {
    const open = (number) => !(marks.get(articles[number].dataset.item) || {}).word;
    const round = articles.map((_, step) => (at + 1 + step) % articles.length);
    const next = round.find(open);
    if (next === undefined) tell(keep(), "all are marked");
    else show(next, true);
  }

  function save() {
    const told = articles.map((one) => one.dataset.item).filter((item) => (marks.get(item) || {}).word).map((item) => {
      const { word, comment } = marks.get(item);
      const plain = word === "good" || word === "cannot_tell";
      return { item, mark: plain ? word : "defective", defect: plain ? null : word, comment };
    });
    const file = { schema: 1, sample: page.sample, annotator: Number(page.annotator), marks: told };
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(file, null, 1) + "\n"], { type: "application/json" }));
    link.download = `marks-annotator-${page.annotator}.json`;
    link.click();
    const bare = articles.filter((one) => {
      const own = marks.get(one.dataset.item);
      return own && own.comment && !own.word;
    }).length;
    const left = bare ? `; ${bare} with a comment and no mark are not in the file` : "";
    tell(keep(), `saved ${told.length} of ${articles.length} to ${link.download}${left}`);
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  const keys = { j: () => show(at + 1, true), k: () => show(at - 1, true), u: unmarked, s: save,
    m: () => form.elements.comment.focus() };
  for (const radio of form.elements.mark) keys[radio.dataset.key] = () => choose(radio.value);
  keys.ArrowRight = keys.j;
  keys.ArrowLeft = keys.k;

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === form.elements.comment) {
      if (event.key === "Escape") form.elements.comment.blur();
      return;
    }
    // Arrows choose among the marks where one of them has the focus.
    if (event.key.startsWith("Arrow") && event.target.type === "radio") return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key; // Caps Lock changes nothing
    if (!Object.hasOwn(keys, key)) return;
    event.preventDefault();
    keys[key]();
  });
  form.addEventListener("input", read);
  // Who chose with a mouse steps on with the arrows; who chose with the keyboard is among the marks.
  form.addEventListener("click", (event) => { if (event.detail && event.target.type === "radio") event.target.blur(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const button of form.querySelectorAll("button")) button.addEventListener("click", () => keys[button.dataset.does]());
  document.body.classList.add("paged");
  show(at, false);
})();
