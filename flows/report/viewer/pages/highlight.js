// Before Prism: it is asked for tokens only, never to look for code in the page itself.
"use strict";

globalThis.Prism = { manual: true, disableWorkerMessageHandler: true };

// Returns code as nodes, a span for each token; Prism's own output is markup, which is not used.
cf.highlighted = (code) => {
  const nodes = (token) => {
    if (typeof token === "string") return [token];
    if (Array.isArray(token)) return token.flatMap(nodes);
    return [cf.el("span", { class: `token ${token.type}` }, ...nodes(token.content))];
  };
  return nodes(Prism.tokenize(code, Prism.languages.python));
};
