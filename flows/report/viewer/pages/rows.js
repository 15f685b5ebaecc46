// The index in memory: a column for each facet, texts beside them, and the rows that pass a filter.
"use strict";

(() => {
  // Returns an empty index for so many rows as `about` tells.
  cf.rows = (about) => {
    const n = about.rows;
    return {
      about,
      n: 0,
      ids: new Array(n),
      answers: new Array(n),
      found: new Array(n), // the answer as it is searched
      question: new Uint32Array(n),
      chunk: new Uint32Array(n),
      sample: new Uint32Array(n),
      turns: new Uint16Array(n),
      tokens: new Uint32Array(n),
      codes: about.facets.map(() => new Uint16Array(n)),
      questions: { ids: [], texts: [], golds: [], found: [] },
    };
  };

  // Appends one chunk.
  cf.grow = (rows, { questions, rows: more }) => {
    const start = rows.n;
    for (let i = 0; i < more.id.length; i++) {
      rows.ids[start + i] = more.id[i];
      rows.answers[start + i] = more.answer[i];
      rows.found[start + i] = more.answer[i].toLowerCase();
    }
    for (const name of ["question", "chunk", "sample", "turns", "tokens"]) rows[name].set(more[name], start);
    rows.about.facets.forEach((facet, i) => rows.codes[i].set(more.codes[facet.name], start));
    for (let i = 0; i < questions.id.length; i++) {
      rows.questions.ids.push(questions.id[i]);
      rows.questions.texts.push(questions.text[i]);
      rows.questions.golds.push(questions.gold[i]);
      rows.questions.found.push(`${questions.text[i]}\n${questions.gold[i]}\n${questions.row[i]}`.toLowerCase());
    }
    rows.n += more.id.length;
  };

  // Returns the words of a facet that a row bears.
  cf.words = (rows, facet, row) => {
    const { words, sets } = rows.about.facets[facet];
    return sets[rows.codes[facet][row]].map((place) => words[place]);
  };

  // For each code of each facet, whether it passes: it bears one of the chosen words, or none is chosen.
  const passing = (rows, chosen) =>
    rows.about.facets.map(({ sets }, i) => {
      const wanted = chosen[i];
      return Uint8Array.from(sets, (places) => (wanted.size === 0 || places.some((place) => wanted.has(place)) ? 1 : 0));
    });

  // The words of a search; what stands in quotation marks is one of them, blanks and all.
  const words = (text) => [...text.toLowerCase().matchAll(/["“„]([^"“”„]+)["“”]|([^\s]+)/g)].map(([, together, word]) => together ?? word);

  // Returns for each row whether every word of the search stands in question, gold, row key, answer, reason, or begins its
  // id.
  const searched = (rows, text) => {
    const sought = words(text);
    if (sought.length === 0) return null;
    const hit = new Uint8Array(rows.n).fill(1);
    const facet = rows.about.facets.findIndex(({ name }) => name === "reason");
    for (const word of sought) {
      const questions = Uint8Array.from(rows.questions.found, (found) => (found.includes(word) ? 1 : 0));
      const reasons = rows.about.facets[facet].words.map((reason) => reason.toLowerCase().includes(word));
      const sets = rows.about.facets[facet].sets.map((places) => places.some((place) => reasons[place]));
      const asked = rows.questions.ids.map((id) => id.startsWith(word));
      for (let row = 0; row < rows.n; row++) {
        if (hit[row] === 0 || questions[rows.question[row]] || sets[rows.codes[facet][row]]) continue;
        if (!rows.found[row].includes(word) && !rows.ids[row].startsWith(word) && !asked[rows.question[row]]) hit[row] = 0;
      }
    }
    return hit;
  };

  // Returns the rows that pass, and how many would bear each word if nothing of its own facet were chosen.
  cf.filter = (rows, chosen, text) => {
    const pass = passing(rows, chosen);
    const hit = searched(rows, text);
    const active = pass.map((_, i) => i).filter((i) => chosen[i].size > 0);
    const tallies = pass.map((codes) => new Uint32Array(codes.length));
    const found = new Uint32Array(rows.n);
    let n = 0;
    for (let row = 0; row < rows.n; row++) {
      if (hit !== null && hit[row] === 0) continue;
      let failed = -1;
      let failures = 0;
      for (const i of active) {
        if (pass[i][rows.codes[i][row]] === 0) {
          failed = i;
          if (++failures > 1) break;
        }
      }
      if (failures === 0) {
        found[n++] = row;
        for (let i = 0; i < tallies.length; i++) tallies[i][rows.codes[i][row]]++;
      } else if (failures === 1) {
        tallies[failed][rows.codes[failed][row]]++;
      }
    }
    const counts = tallies.map((tally, i) => {
      const { words, sets } = rows.about.facets[i];
      const count = new Uint32Array(words.length);
      sets.forEach((places, code) => places.forEach((place) => (count[place] += tally[code])));
      return count;
    });
    return { found: found.subarray(0, n), counts };
  };
})();
