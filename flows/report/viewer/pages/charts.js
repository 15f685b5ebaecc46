// Bars by uPlot, in the colours of the page; the numbers stand in a table below each.
"use strict";

(() => {
  const drawn = [];
  const colour = (name) => {
    const probe = cf.el("span", { class: "unseen" });
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  };

  // As wide as the longest number of an axis, ticks and gap beside it.
  const wide = (plot, numbers, i) => {
    const axis = plot.axes[i];
    plot.ctx.save();
    plot.ctx.font = axis.font[0];
    const longest = Math.max(0, ...(numbers ?? []).map((number) => plot.ctx.measureText(number).width));
    plot.ctx.restore();
    return Math.ceil(axis.ticks.size + axis.gap + longest / devicePixelRatio) + 2;
  };

  // Draws bars into a figure: heights by label, and what the axes are. `paint` names the colour, `top` the height of the
  // axis, `unit` stands behind its numbers; `address(i)` is where a click on a bar leads.
  cf.bars = (caption, labels, heights, { x, paint = "accent", top = Math.max(...heights), unit = "", address = null }) => {
    const place = cf.el("div", { role: "img", "aria-label": `${caption}; the numbers are in the table below` });
    const figure = cf.el("figure", null, cf.el("figcaption", null, caption), place);
    drawn.push(() => {
      place.replaceChildren();
      const [ink, line, fill] = [colour("quiet"), colour("line"), colour(paint)];
      const axis = { stroke: ink, grid: { show: false }, ticks: { stroke: line }, font: "12px system-ui", labelFont: "12px system-ui" };
      const width = Math.max(200, place.clientWidth);
      const every = Math.ceil((labels.length * 34) / width);
      const plot = new uPlot(
        {
          width,
          height: 190,
          cursor: { show: false },
          legend: { show: false },
          scales: { x: { time: false, range: [-0.6, labels.length - 0.4] }, y: { range: [0, Math.max(1, top * 1.05)] } },
          axes: [
            { ...axis, label: x, labelSize: 20, size: 28, splits: () => labels.map((_, i) => i), values: (_, splits) => splits.map((i) => (i % every === 0 ? labels[i] : "")) },
            { ...axis, size: wide, values: (_, splits) => splits.map((value) => `${cf.number(value)}${unit}`), incrs: [1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7], grid: { show: true, stroke: line, width: 1 } },
          ],
          series: [{}, { stroke: fill, fill, width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.75, 60] }) }],
        },
        [labels.map((_, i) => i), heights],
        place,
      );
      if (!address) return;
      plot.over.classList.add("leads");
      plot.over.addEventListener("click", (event) => {
        const i = Math.round(plot.posToVal(event.offsetX, "x"));
        if (heights[i]) location.href = address(i);
      });
    });
    return figure;
  };

  // Draws all charts, which have to stand in the page, and again when theme or width change.
  cf.drawCharts = () => {
    const draw = () => drawn.forEach((one) => one());
    draw();
    document.addEventListener("theme", draw);
    let width = innerWidth;
    addEventListener("resize", () => {
      if (innerWidth !== width) {
        width = innerWidth;
        draw();
      }
    });
  };
})();
