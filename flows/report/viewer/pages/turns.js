// One turn: the thought, the call, what came back.
"use strict";

(() => {
  const PREVIEW = 110; // characters of a folded thought
  const MARK = "<image>";

  const thought = (text) => {
    const body = text.trim();
    if (!body) return null;
    const line = body.split("\n", 1)[0];
    const short = line.length > PREVIEW || body.length > line.length ? `${line.slice(0, PREVIEW)} …` : line;
    return cf.el(
      "details",
      { class: "thought" },
      cf.el("summary", null, cf.el("span", { class: "what" }, "Thought "), cf.foreign("span", short, { class: "preview" })),
      cf.block(body, { class: "prose", "aria-label": "Thought" }),
    );
  };

  const call = (turn) => {
    if (turn.action === "python" && turn.argument !== null)
      return cf.block(turn.argument, { class: "code", dir: "ltr", "aria-label": "Code" }, cf.highlighted);
    if (turn.action === "answer" && turn.argument !== null)
      return cf.el("p", { class: "said" }, cf.el("span", { class: "what" }, "Answer "), cf.foreign("strong", turn.argument));
    if (turn.action === "search" && turn.argument !== null)
      return cf.el("p", { class: "said" }, cf.el("span", { class: "what" }, "Search for "), cf.foreign("strong", turn.argument));
    if (turn.action === "image_search") return cf.el("p", { class: "said" }, cf.el("span", { class: "what" }, "Search by the picture"));
    return cf.block(turn.raw, { class: "raw", "aria-label": "Message that is no valid turn" });
  };

  const stream = (name, text) =>
    text.trim() ? cf.el("div", { class: `stream ${name}` }, cf.el("h4", null, name), cf.block(text, { "aria-label": name })) : null;

  const result = (turn) => {
    if (turn.out !== undefined) {
      const silent = !turn.out.trim() && !turn.err.trim() && turn.images.length === 0;
      return [stream("stdout", turn.out), stream("stderr", turn.err), silent ? cf.el("p", { class: "quiet" }, "No output.") : null];
    }
    if (turn.observation === null) return [];
    let n = 0;
    // The marks stand where the pictures do; they are shown below, in order.
    const text = turn.observation.split(MARK).reduce((all, part) => `${all}[picture ${++n}]${part}`);
    return [cf.el("div", { class: "stream" }, cf.el("h4", null, "observation"), cf.block(text, { "aria-label": "Observation" }))];
  };

  // Returns the section of turn `number`, counted from 1; `images` are those of the question, `learns` what `cf.learns` says.
  cf.turn = (turn, number, images, learns) => {
    const loss = learns === "no" ? null : turn.loss ? (learns === "yes" ? "loss: learnt" : "loss: would be learnt") : "loss: masked";
    const id = `turn-${number}`;
    const cuts = new Map();
    for (const [image, ...box] of turn.crops) {
      if (image < images.length) cuts.set(image, [...(cuts.get(image) ?? []), { turn: number, box }]);
    }
    const sources = [...cuts].map(([image, crops]) => cf.cutFrom(images[image], `image_${image + 1}`, crops));
    const pictures = turn.images.map((image, i) => cf.picture(image, `Picture ${i + 1} of turn ${number}`));
    return cf.el(
      "section",
      { class: `turn ${turn.loss && loss ? "learnt" : "masked"}`, "aria-labelledby": id },
      cf.el(
        "h3",
        { id },
        `${number} `,
        cf.badge(turn.action, "plain"),
        turn.status === "ok" ? null : cf.badge(turn.status, cf.kind(turn.status)),
        loss && cf.badge(loss, turn.loss ? "learnt" : "masked"),
        ...turn.labels.map((label) => cf.badge(label, "open")),
      ),
      thought(turn.think),
      call(turn),
      ...result(turn),
      sources.length ? cf.el("div", { class: "pictures" }, ...sources) : null,
      pictures.length ? cf.el("div", { class: "pictures" }, ...pictures) : null,
      turn.action === "none"
        ? null
        : cf.el("details", { class: "aside" }, cf.el("summary", null, "Message as written"), cf.block(turn.raw, { "aria-label": "Message" })),
    );
  };
})();
