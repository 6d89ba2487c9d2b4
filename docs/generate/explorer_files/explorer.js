"use strict";
(() => {
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const root = document.getElementById("explorer");
  const form = root.querySelector("form");
  const field = name => form.elements[name];

  const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const numbers = text => new Uint16Array(bytes(text).buffer);
  const same = (a, b) => Math.abs(a - b) < 1e-9;
  const indexOf = (values, value) => values.findIndex(each => same(each, value));
  const element = (tag, html = "") => Object.assign(document.createElement(tag), { innerHTML: html });

  // A slider moves over the positions at which the library was evaluated.
  const positions = {
    inf: data.thresholds.slice(0, -1), sup: data.thresholds.slice(1), gamma: data.gammas,
    beta: data.betas, window: data.windows,
  };
  const value = name => positions[name][field(name).value];
  function set(name, number) {
    field(name).value = indexOf(positions[name], number);
  }
  for (const [name, values] of Object.entries(positions)) {
    Object.assign(field(name), { min: 0, max: values.length - 1, step: 1 });
  }
  const start = { inf: 0.3, sup: 0.7, gamma: 2, beta: 0.99, window: 7 };
  Object.entries(start).forEach(([name, number]) => set(name, number));
  data.labels.forEach((label, i) => field("label").append(new Option(label.title, i)));

  // Curves. A chart is 200 wide and 120 high, with (0, 0) at the lower left corner.
  const WIDTH = 200, HEIGHT = 120;
  const charts = {
    loss: "loss over the error", slope: "its derivative by the error",
    gradient: "its gradient at the score of the label",
  };
  const lines = {
    plain: ["cross-entropy", "currentColor", "2 3"],
    focal: ["focal", data.colors[1], "7 3"],
    truncated: ["truncated", data.colors[0], ""],
  };
  const curves = {};
  for (const kind of ["truncated", "focal"]) {
    curves[kind] = Object.fromEntries(Object.entries(data[kind]).map(([name, text]) => [name, numbers(text)]));
  }
  const stroke = ([, color, dash]) => `stroke="${color}" stroke-dasharray="${dash}" stroke-width="1.8" fill="none"`;
  for (const [name, [title]] of Object.entries(lines)) {
    const line = `<svg viewBox="0 0 22 8"><path d="M0 4h22" ${stroke(lines[name])}/></svg>`;
    root.querySelector(".legend").append(element("li", line + title));
  }
  for (const [name, title] of Object.entries(charts)) {
    const top = data.tops[name];
    const ticks = [0, 0.5, 1].map(x => `<text x="${x * WIDTH}" y="${HEIGHT + 14}" text-anchor="middle">${x}</text>`);
    for (const y of [0, top / 2, top]) {
      ticks.push(`<text x="-4" y="${HEIGHT * (1 - y / top) + 4}" text-anchor="end">${y}</text>`);
    }
    const paths = Object.keys(lines).map(line => `<path data-line="${line}" ${stroke(lines[line])}/>`).join("");
    root.querySelector(".charts").append(element("figure", `<figcaption>${title}</figcaption>
      <svg viewBox="-22 -6 230 144" role="img" aria-label="${title}" data-chart="${name}">
      <clipPath id="explorer-clip"><rect width="${WIDTH}" height="${HEIGHT}"/></clipPath>
      <path d="M0 0V${HEIGHT}H${WIDTH}" stroke="currentColor" stroke-width=".8"/>
      <g clip-path="url(#explorer-clip)">${paths}</g>${ticks.join("")}</svg>`));
  }
  function drawCurves() {
    const pair = (inf, sup) => data.pairs.findIndex(each => same(each[0], inf) && same(each[1], sup));
    const shown = {
      plain: ["truncated", pair(0, 1)], truncated: ["truncated", pair(value("inf"), value("sup"))],
      focal: ["focal", indexOf(data.gammas, value("gamma"))],
    };
    const count = data.errors.length;
    for (const chart of Object.keys(charts)) {
      for (const [line, [kind, row]] of Object.entries(shown)) {
        const steps = curves[kind][chart].subarray(row * count, (row + 1) * count);
        const points = data.errors.map((error, i) =>
          `${(WIDTH * error).toFixed(1)} ${(HEIGHT * (1 - steps[i] / data.steps)).toFixed(2)}`);
        root.querySelector(`[data-chart=${chart}] [data-line=${line}]`).setAttribute("d", `M${points.join("L")}`);
      }
    }
  }

  // Masks. The kind of a pixel says which color it has.
  const panels = { weight: "class weights", confusion: "confusion mask", product: "their product" };
  const picture = element("img");
  const labeled = element("figure");
  labeled.append(picture, element("figcaption", "label"));
  root.querySelector(".panels").append(labeled);
  for (const [name, title] of Object.entries(panels)) {
    const figure = element("figure", `<canvas data-mask="${name}" role="img" aria-label="${title}"></canvas>
      <figcaption>${title}</figcaption>`);
    root.querySelector(".panels").append(figure);
  }
  function paint(name, side, kinds, colors) {
    const canvas = root.querySelector(`[data-mask=${name}]`);
    canvas.width = canvas.height = side;
    const image = new ImageData(side, side);
    kinds.forEach((kind, pixel) => {
      image.data.set(colors.subarray(3 * kind, 3 * kind + 3), 4 * pixel);
      image.data[4 * pixel + 3] = 255;
    });
    canvas.getContext("2d").putImageData(image, 0, 0);
  }
  function drawMasks() {
    const label = data.labels[field("label").value];
    const mask = label.masks[indexOf(data.windows, value("window"))];
    const beta = indexOf(data.betas, value("beta"));
    const kinds = numbers(mask.kinds);
    picture.src = label.picture;
    picture.alt = label.title;
    paint("weight", label.side, kinds, bytes(mask.weight[beta]));
    paint("confusion", label.side, kinds, bytes(mask.confusion));
    paint("product", label.side, kinds, bytes(mask.product[beta]));
    const means = mask.means[beta];
    const percent = share => `${(100 * share).toFixed(1)} %`;
    root.querySelector("tbody").replaceChildren(...label.classes.map((name, k) => element("tr", `<td>${name}</td>
      <td>${percent(label.pixels[k])}</td><td>${means.weight[k]}</td><td>${means.confusion[k]}</td>
      <td>${means.product[k]}</td><td>${percent(means.share[k])}</td>`)));
  }

  function draw() {
    for (const name of Object.keys(positions)) {
      const text = name == "window" && value(name) == 0 ? "none" : value(name);
      field(name).parentElement.querySelector("output").value = text;
      field(name).setAttribute("aria-valuetext", text);
    }
    drawCurves();
    drawMasks();
  }
  form.addEventListener("input", event => {
    // eps_inf stays below eps_sup: the slider that is moved pushes the other.
    if (event.target.name == "inf") set("sup", Math.max(value("sup"), positions.sup[field("inf").value]));
    if (event.target.name == "sup") set("inf", Math.min(value("inf"), positions.inf[field("sup").value]));
    draw();
  });
  form.addEventListener("submit", event => event.preventDefault());
  form.querySelectorAll("[data-preset]").forEach(button => button.addEventListener("click", () => {
    Object.entries(JSON.parse(button.dataset.preset)).forEach(([name, number]) => set(name, number));
    draw();
  }));
  draw();
})();
