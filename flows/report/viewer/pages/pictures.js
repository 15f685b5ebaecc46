// A picture at its full size and at the size that the student saw, with the boxes that were cut out of it.
"use strict";

(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const NEARLY = 0.9; // of either side: as good as the whole
  const SMALL = 160; // pixels: smaller pictures, such as hits of a search, stand beside each other

  const address = (sha256) => (/^[0-9a-f]{64}$/.test(sha256) ? `${cf.about.blobs}/${sha256.slice(0, 2)}/${sha256}` : "");
  const size = (width, height) => `${cf.number(width)} × ${cf.number(height)}`;

  // What stands in place of a picture that is not where the page looks.
  const absent = () => (cf.about.bundled ? "not in the store when it was bundled" : "not found: moved without --bundle, or not in the store");

  // Rectangles over a picture; an ordinary element of the page gets them, so that its size is the picture's.
  const overlay = (width, height, crops) => {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    for (const { turn, box } of crops) {
      const [left, upper, right, lower] = [
        Math.max(0, box[0]),
        Math.max(0, box[1]),
        Math.min(width, box[2]),
        Math.min(height, box[3]),
      ];
      if (left >= right || upper >= lower) continue;
      for (const kind of ["halo", "edge"]) {
        const rectangle = document.createElementNS(SVG, "rect");
        rectangle.setAttribute("class", kind);
        rectangle.setAttribute("x", left);
        rectangle.setAttribute("y", upper);
        rectangle.setAttribute("width", right - left);
        rectangle.setAttribute("height", lower - upper);
        svg.append(rectangle);
      }
      const label = document.createElementNS(SVG, "text");
      label.setAttribute("x", left + Math.max(width, height) * 0.012);
      label.setAttribute("y", upper + Math.max(width, height) * 0.045);
      label.setAttribute("font-size", Math.max(width, height) * 0.04);
      label.textContent = turn;
      svg.append(label);
    }
    return svg;
  };

  const view = ([sha256, width, height], shown, name, crops, attributes) => {
    const image = cf.el("img", {
      src: address(sha256),
      alt: name,
      width: shown[0],
      height: shown[1],
      loading: "lazy",
      decoding: "async",
    });
    image.addEventListener("error", () => frame.classList.add("missing"));
    const frame = cf.el("div", { class: "frame", "data-missing": absent(), ...attributes }, image, crops.length ? overlay(width, height, crops) : null);
    return frame;
  };

  // The picture reduced to so many pixels, in which no more can be seen than there was, on whatever display.
  const reduced = (image, [, width, height, seenWidth, seenHeight], name, crops) => {
    const canvas = cf.el("canvas", { width: seenWidth, height: seenHeight, role: "img", "aria-label": name });
    const draw = () => {
      const context = canvas.getContext("2d");
      context.imageSmoothingQuality = "high";
      context.drawImage(image, 0, 0, seenWidth, seenHeight);
    };
    image.addEventListener("load", draw);
    image.addEventListener("error", () => frame.classList.add("missing"));
    const frame = cf.el("div", { class: "frame", "data-missing": absent() }, canvas, crops.length ? overlay(width, height, crops) : null);
    return frame;
  };

  // Keeps telling how large a picture is drawn, and whether that shows less than the model saw.
  const telling = (image, [, width, height, seenWidth], place) => {
    const tell = () => {
      const drawn = image.getBoundingClientRect().width;
      if (!drawn) return;
      const less = seenWidth !== undefined && drawn < Math.min(seenWidth, width) - 1 ? ", smaller than the model saw it" : "";
      const part = `drawn at ${Math.round((100 * drawn) / width)} %${less}`;
      if (drawn < width - 1) place.textContent = ` (${part}; z: pixel for pixel)`;
      else place.textContent = Math.max(width, height) > SMALL * 3 ? " (pixel for pixel)" : "";
    };
    new ResizeObserver(tell).observe(image);
    return place;
  };

  const where = (crops) =>
    crops.map(({ turn, box }) => `turn ${turn}: ${box.map((end) => Math.round(end)).join(", ")}`).join("; ");

  // Returns figures of one picture: `[sha256, width, height, seen width, seen height]`.
  // `asked`: a model was shown it.
  cf.picture = (picture, name, crops = [], asked = true) => {
    const [, width, height, seenWidth, seenHeight] = picture;
    const known = seenWidth !== undefined;
    // What lost next to nothing, or was enlarged, is drawn once.
    const same = known && seenWidth >= NEARLY * width && seenHeight >= NEARLY * height;
    const drawn = view(picture, [width, height], name, crops, null);
    const image = drawn.querySelector("img");
    // Sides are rounded each by itself: as wide as it was seen, and as high.
    if (known) image.style.setProperty("--seen", `${Math.ceil(Math.max(seenHeight, (seenWidth * height) / width))}px`);
    const told = crops.length ? cf.el("span", null, ` Cut out: ${where(crops)}`) : null;
    const exactly = seenWidth === width && seenHeight === height;
    const seen = exactly ? ", seen at this size" : same ? `, seen at ${size(seenWidth, seenHeight)}` : known || !asked ? "" : ", size seen not recorded";
    const full = cf.el(
      "figure",
      { class: "full" },
      cf.el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `${name}, full size` }, drawn),
      cf.el("figcaption", null, `${name}: full size ${size(width, height)}${seen}`, telling(image, picture, cf.el("span", { class: "drawn" })), ".", told),
    );
    if (same || !known) {
      const small = width <= SMALL && height <= SMALL;
      return cf.el("div", { class: small ? "picture small" : "picture" }, full);
    }
    const student = cf.el(
      "figure",
      { class: "seen" },
      cf.el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `${name}, as seen` }, reduced(image, picture, `${name}, as the model saw it`, crops)),
      cf.el("figcaption", null, `As the model saw it: ${size(seenWidth, seenHeight)}, ${Math.round((100 * seenWidth * seenHeight) / (width * height))} % of the pixels.`),
    );
    return cf.el("div", { class: "picture" }, full, student);
  };

  // Returns a small figure of where a cell cut.
  cf.cutFrom = (picture, name, crops) => {
    const [, width, height] = picture;
    const scale = Math.min(1, 320 / Math.max(width, height));
    return cf.el(
      "figure",
      { class: "cut" },
      view(picture, [Math.round(width * scale), Math.round(height * scale)], `${name} with the box that was cut`, crops, null),
      cf.el("figcaption", null, `Cut from ${name}, ${where(crops)}`),
    );
  };
})();
