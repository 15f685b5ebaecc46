// What a person says of trajectories: marks, comments and corrections. Nothing is sent anywhere: they stay in this browser
// until they are saved to files.
"use strict";

(() => {
  const ID = /^[0-9a-f]{64}$/;
  const SHORT = 16; // digits of an id in the index
  const FIELDS = ["text", "answers", "answer"];
  const byId = (id) => document.getElementById(id);

  // Fills the form for the run that `about` tells of; `changed()` is called when a mark was given or taken.
  cf.marking = (about, changed) => {
    const form = byId("marking");
    const comment = byId("comment");
    const words = about.marks.map(({ word }) => word);
    const kept = `coldforge-marks:${about.run}`;
    const said = restored(); // by trajectory: its question, word, comment, and by field what is corrected
    let shown = null;

    // What lies in the browser's storage may be of anybody.
    function restored() {
      const found = new Map();
      try {
        const held = JSON.parse(localStorage.getItem(kept)) ?? {};
        byId("annotator").value = typeof held.annotator === "string" ? held.annotator : "";
        for (const [id, one] of Object.entries(held.said ?? {})) {
          const whole = ID.test(id) && ID.test(one?.question) && typeof one.comment === "string" && (one.word === "" || words.includes(one.word));
          if (!whole) continue;
          const fields = FIELDS.filter((name) => typeof one.fields?.[name] === "string");
          found.set(id, { question: one.question, word: one.word, comment: one.comment, fields: Object.fromEntries(fields.map((name) => [name, one.fields[name]])) });
        }
      } catch {
        // No storage, or nothing of ours in it.
      }
      return found;
    }
    const keep = () => {
      try {
        localStorage.setItem(kept, JSON.stringify({ annotator: byId("annotator").value, said: Object.fromEntries(said) }));
        return true;
      } catch {
        return false; // It holds for this page alone, and `tell` says so.
      }
    };

    const marked = () => [...said].filter(([, one]) => one.word);
    const corrected = () => [...said].filter(([, one]) => Object.keys(one.fields).length);
    const tell = (more) => {
      const [marks, fixes] = [marked().length, corrected().length];
      const warning = keep() ? "" : " · this browser keeps nothing: save before you close the page";
      byId("told").textContent = more ?? `${marks} marked${fixes ? `, ${fixes} corrected` : ""}${warning}`;
    };

    // As a field holds it, which ends every line alike.
    const was = () => {
      const own = { text: shown.question.text, answers: shown.question.answers.join("\n"), answer: shown.trajectory.answer ?? "" };
      return Object.fromEntries(Object.entries(own).map(([name, value]) => [name, value.replace(/\r\n?/g, "\n")]));
    };
    const word = () => form.elements.mark.value;
    const read = () => {
      if (!shown) return;
      const before = was();
      const fields = Object.fromEntries(FIELDS.map((name) => [name, byId(name).value]).filter(([name, value]) => value !== before[name]));
      const one = { question: shown.question.id, word: word(), comment: comment.value, fields };
      if (one.word || one.comment || Object.keys(fields).length) said.set(shown.trajectory.id, one);
      else said.delete(shown.trajectory.id);
      tell();
      changed();
    };
    // The key of the mark that is given takes it back.
    const choose = (wanted) => {
      const now = word();
      for (const radio of form.elements.mark) radio.checked = radio.value === wanted && wanted !== now;
      read();
    };

    const save = (name, text, type) => {
      const link = cf.el("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    };
    const saveMarks = () => {
      const marks = marked().map(([trajectory, one]) => {
        const plain = one.word === "good" || one.word === "cannot_tell";
        return { trajectory, question: one.question, mark: plain ? one.word : "defective", defect: plain ? null : one.word, comment: one.comment };
      });
      save("marks-viewer.json", `${JSON.stringify({ schema: 1, run: about.run, marks }, null, 1)}\n`, "application/json");
    };
    const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
    const saveCorrections = () => {
      const annotator = byId("annotator").value.trim();
      const fixes = corrected();
      const silent = fixes.filter(([, one]) => !one.comment.trim()).length;
      if (!fixes.length) return tell("Nothing is corrected: open “Correct it” and change a field.");
      if (silent) return tell(`${silent} of ${fixes.length} corrections have no comment that says why.`);
      if (!annotator) {
        byId("correcting").open = true;
        byId("annotator").focus();
        return tell("Write your name: a correction says whose it is.");
      }
      const told = fixes.flatMap(([trajectory, { question, comment: why, fields: { text, answers, answer } }]) => [
        ...(text === undefined && answers === undefined ? [] : [{ parent: question, annotator, comment: why, text, answers: answers === undefined ? undefined : lines(answers) }]),
        ...(answer === undefined ? [] : [{ parent: trajectory, annotator, comment: why, answer }]),
      ]);
      save("corrections.jsonl", told.map((line) => `${JSON.stringify(line)}\n`).join(""), "application/x-ndjson");
      tell();
    };

    byId("marks").append(
      ...about.marks.map(({ key, word: value, label, meaning }) =>
        cf.el("label", { title: meaning }, cf.el("input", { type: "radio", name: "mark", value }), ` ${label} `, cf.el("kbd", null, key)),
      ),
    );
    byId("mark-keys").append(...about.marks.flatMap(({ key }) => [cf.el("kbd", null, key), " "]));
    byId("save-marks").addEventListener("click", saveMarks);
    byId("save-corrections").addEventListener("click", saveCorrections);
    form.addEventListener("input", read);
    form.addEventListener("submit", (event) => event.preventDefault());

    return {
      // Shows what is said of a trajectory; null: of none.
      show: (trajectory, question) => {
        shown = trajectory && { trajectory, question };
        form.hidden = !shown;
        if (!shown) return;
        const own = said.get(trajectory.id) ?? { word: "", comment: "", fields: {} };
        for (const radio of form.elements.mark) radio.checked = radio.value === own.word;
        comment.value = own.comment;
        for (const [name, value] of Object.entries(was())) byId(name).value = own.fields[name] ?? value;
        byId("answer").disabled = trajectory.purpose === "gate" || trajectory.answer === null;
        tell();
      },
      // Returns the marks by the ids of the index.
      words: () => new Map(marked().map(([id, one]) => [id.slice(0, SHORT), one.word])),
      keys: {
        ...Object.fromEntries(about.marks.map(({ key, word: value }) => [key, () => shown && choose(value)])),
        m: () => comment.focus(),
        e: () => {
          byId("correcting").open = true;
          byId("text").focus();
        },
        s: saveMarks,
      },
    };
  };
})();
