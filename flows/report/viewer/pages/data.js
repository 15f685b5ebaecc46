// Data comes as scripts that call `coldforge(name, value)`: a page opened from disk may load nothing else.
"use strict";

const cf = {};

(() => {
  const KEPT = 6; // transcripts in memory, in files of about half a megabyte
  const files = new Map();
  // The one place where an address becomes a script: a file of ours in `data/`, whatever the data say.
  const allowed = (address) => {
    if (!/^data\/[a-z]+(-\d+)?\.js$/.test(address)) throw new TypeError(`not a data file: ${address}`);
    return address;
  };
  const policy = globalThis.trustedTypes
    ? trustedTypes.createPolicy("coldforge", { createScriptURL: allowed })
    : { createScriptURL: allowed };

  globalThis.coldforge = (name, value) => {
    document.currentScript.calls.set(name, value);
  };

  // Returns a promise of the values that the file `data/<name>.js` hands over, by their names.
  cf.load = (name) => {
    if (files.has(name)) {
      const known = files.get(name);
      files.delete(name);
      files.set(name, known);
      return known;
    }
    const made = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.calls = new Map();
      script.src = policy.createScriptURL(`data/${name}.js`);
      script.onload = () => {
        script.remove();
        resolve(script.calls);
      };
      script.onerror = () => {
        script.remove();
        files.delete(name);
        reject(new Error(`data/${name}.js is missing or damaged; write the report again`));
      };
      document.head.append(script);
    });
    if (name.startsWith("transcripts-")) {
      files.set(name, made);
      if (files.size > KEPT) files.delete(files.keys().next().value);
    }
    return made;
  };

  // Returns a promise of the one value of a file.
  cf.value = async (name) => (await cf.load(name)).get(name);
})();
