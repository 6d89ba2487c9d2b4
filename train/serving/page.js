// The page: images to walk through, thresholds with what they cost, verdicts. All figures come from the server.
import { Viewer } from "/viewer.js";

const $ = id => document.getElementById(id);
const WALKS = { worst: "images, worst first", missed: "with a missed defect", false_alarms: "with a false alarm" };
const [LOWEST, HIGHEST, MOST_AREA] = [-7, 7, 12]; // log odds of thresholds; log2 of minimum areas

let start, viewer;
let rule, saved, costs = null; // `rule` is as the sliders stand, `saved` as the run has it
let base; // the thresholds that the slider of all defects shifts
let walks = {}, list = [], current = null, described = null;

// ---- Requests

let pending = 0; // requests, tiles and paintings that are waited for
function busy(change) {
  pending += change;
  document.body.setAttribute("aria-busy", pending > 0);
}

async function send(address, options) {
  busy(1);
  try {
    const answer = await fetch(address, options);
    const result = await answer.json();
    if (!answer.ok) throw new Error(result.error);
    return result;
  } finally { busy(-1); }
}

const ask = (address, value, method = "POST") =>
  send(address, { method, body: value === undefined ? undefined : JSON.stringify(value) });

function say(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
}

// Run a handler; what goes wrong becomes one line on the page.
const guarded = handler => async (...values) => {
  try { await handler(...values); } catch (error) { say(error.message); }
};

// Return a function that runs a task at once, and while it runs keeps only the last call for afterwards.
function latest(task) {
  let running = false, again = false;
  return guarded(async function run() {
    if (running) { again = true; return; }
    running = true;
    try { await task(); } finally { running = false; }
    if (again) { again = false; await run(); }
  });
}

// ---- Texts

const odds = threshold => Math.log(threshold / (1 - threshold));
const inverse = odds => rounded(1 / (1 + Math.exp(-odds)));
const rounded = threshold => Math.min(Math.max(Number(threshold.toPrecision(4)), 0.0001), 0.9999);
const percent = value => value === null ? "–" : `${(100 * value).toFixed(1)} %`;
const short = value => value >= 0.9995 ? "> 0.999" : value < 0.0005 ? "< 0.001" : value.toFixed(3);
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const swatch = name => {
  const mark = make("span", { className: "swatch" });
  mark.style.background = start.defects.find(defect => defect.name === name).color;
  return mark;
};

// ---- Thresholds

function buildSliders() {
  const rows = start.defects.map(({ name }, k) => {
    const row = make("fieldset", { className: "class" });
    const threshold = make("input", { type: "range", min: LOWEST, max: HIGHEST, step: 0.05, id: `threshold-${k}` });
    const exact = make("input", { type: "number", min: 0.0001, max: 0.9999, step: "any", id: `exact-${k}` });
    const area = make("input", { type: "range", min: 0, max: MOST_AREA, step: 0.25, id: `area-${k}` });
    const pixels = make("input", { type: "number", min: 1, max: 4096, step: 1, id: `pixels-${k}` });
    threshold.setAttribute("aria-label", `${name}: threshold, in log odds`);
    exact.setAttribute("aria-label", `${name}: threshold`);
    area.setAttribute("aria-label", `${name}: smallest size, as a power of two`);
    pixels.setAttribute("aria-label", `${name}: smallest size in pixels`);
    const set = (field, value) => {
      rule[field][name] = value;
      costs = null;
      if (field === "thresholds") rebase();
      ruleChanged();
    };
    threshold.oninput = () => set("thresholds", inverse(Number(threshold.value)));
    exact.onchange = () => exact.value && set("thresholds", Math.min(Math.max(Number(exact.value), 0.0001), 0.9999));
    area.oninput = () => set("minimum_areas", Math.round(2 ** area.value));
    pixels.onchange = () => pixels.value && set("minimum_areas", Math.min(Math.max(Math.round(pixels.value), 1), 4096));
    row.append(
      make("legend", {}, swatch(name), name),
      make("div", { className: "ends" }, make("span", {}, "← fewer misses"), make("span", {}, "fewer false alarms →")),
      make("div", { className: "slider" }, threshold, exact),
      make("div", { className: "slider small" }, make("span", {}, "ignore below"), area, pixels, make("span", {}, "px")),
      make("p", { className: "figures", id: `figures-${k}` }),
    );
    return row;
  });
  $("sliders").replaceChildren(...rows);
  $("everything").hidden = start.defects.length < 2;
  $("shift").oninput = () => {
    const shift = Number($("shift").value);
    for (const { name } of start.defects) rule.thresholds[name] = shift ? inverse(odds(base[name]) + shift) : base[name];
    costs = null;
    ruleChanged();
  };
}

function rebase() {
  base = { ...rule.thresholds };
  $("shift").value = 0;
}

function setRule(other) {
  rule = structuredClone(other);
  rebase();
  ruleChanged();
}

function showRule() {
  start.defects.forEach(({ name }, k) => {
    $(`threshold-${k}`).value = odds(rule.thresholds[name]);
    if (document.activeElement !== $(`exact-${k}`)) $(`exact-${k}`).value = rounded(rule.thresholds[name]);
    $(`area-${k}`).value = Math.log2(rule.minimum_areas[name]);
    if (document.activeElement !== $(`pixels-${k}`)) $(`pixels-${k}`).value = rule.minimum_areas[name];
  });
  showState();
}

// A rule in an address, whose length is limited: numbers in the order of the classes.
const query = rule => ["thresholds", "minimum_areas"].map(
  field => `${field}=${start.defects.map(({ name }) => rule[field][name])}`).join("&");

const equal = (a, b) => JSON.stringify(a) === JSON.stringify(b);

function showState() {
  const kept = saved ? saved.rule : start.automatic.rule;
  const changed = !equal(rule, kept);
  $("save").disabled = !changed;
  $("automatic").disabled = !saved && !changed;
  const since = saved && new Date(saved.chosen).toLocaleString();
  $("state").textContent = (changed ? "Not saved. " : "") +
    (saved ? `In use: chosen by a person, ${since}.` : "In use: the automatic choice.");
}

function ruleChanged() {
  showRule();
  if (ruleChanged.waits) return;
  ruleChanged.waits = true;
  busy(1);
  setTimeout(() => {
    ruleChanged.waits = false;
    viewer.setRule(query(rule));
    updateFigures();
    updateImage();
    busy(-1);
  }, 40);
}

const updateFigures = latest(async () => {
  document.body.classList.add("busy");
  const asked = structuredClone(rule);
  try {
    const answer = await ask("/figures", { rule: asked });
    showFigures(answer.figures);
    walks = answer.walks;
    showWalks();
  } finally { document.body.classList.remove("busy"); }
});

const total = figures => Number($("cost-miss").value) * figures.wrongly_passed +
  Number($("cost-alarm").value) * figures.wrongly_scrapped;

function showFigures(figures) {
  showFigures.last = figures;
  const automatic = start.automatic.figures;
  const was = (id, value, before) => { $(id).textContent = value === before ? "" : `automatic: ${before}`; };
  $("passed").textContent = figures.wrongly_passed;
  $("passed-of").textContent = `of ${figures.defective} bad ones`;
  was("passed-was", figures.wrongly_passed, automatic.wrongly_passed);
  $("scrapped").textContent = figures.wrongly_scrapped;
  $("scrapped-of").textContent = `of ${figures.clean} good ones`;
  was("scrapped-was", figures.wrongly_scrapped, automatic.wrongly_scrapped);
  const money = value => Number(value.toFixed(2)).toLocaleString("en");
  $("cost").textContent = money(total(figures));
  was("cost-was", money(total(figures)), money(total(automatic)));
  start.defects.forEach(({ name }, k) => {
    const one = figures.classes[name];
    $(`figures-${k}`).textContent = `${one.found} defects found, ${one.missed} missed, ${one.false_alarms} false alarms · ` +
      `IoU ${percent(one.iou)}, precision ${percent(one.precision)}, recall ${percent(one.recall)}`;
  });
}

// ---- Walk

function showWalks() {
  const chosen = $("walk").value || `${Object.keys(start.parts).at(-1)} worst`;
  const options = [];
  for (const part of Object.keys(start.parts))
    for (const [walk, text] of Object.entries(WALKS))
      options.push(make("option", { value: `${part} ${walk}` }, `${part}: ${walks[part][walk].length} ${text}`));
  if (start.uploads.length) options.push(make("option", { value: "upload" }, `${start.uploads.length} opened`));
  $("walk").replaceChildren(...options);
  $("walk").value = chosen;
  if ($("walk").selectedIndex < 0) $("walk").selectedIndex = 0;
  makeList();
  if (current === null) step(0);
}

function makeList() {
  const [part, walk] = $("walk").value.split(" ");
  list = part === "upload" ? start.uploads.map(number => `upload/${number}`) : walks[part][walk].map(i => `${part}/${i}`);
  showPosition();
}

function showPosition() {
  const index = list.indexOf(current);
  $("position").textContent = list.length ? `${index < 0 ? "–" : index + 1} / ${list.length}` : "none";
  $("previous").disabled = index <= 0;
  $("next").disabled = !list.length || index === list.length - 1;
}

function step(by) {
  const index = list.indexOf(current);
  const next = index < 0 ? 0 : Math.min(Math.max(index + by, 0), list.length - 1);
  if (list.length && (list[next] !== current || by === 0)) go(list[next]);
}

function go(address) {
  current = address;
  showPosition();
  updateImage();
}

const updateImage = latest(async () => {
  if (current === null) return;
  const address = current;
  const answer = await ask("/image", { image: address, rule: structuredClone(rule) });
  if (address === current) showImage(address, answer);
});

function showImage(address, answer) {
  described = answer;
  viewer.show(address, answer.width, answer.height, answer.labeled);
  $("name").textContent = $("name").title = answer.name;
  $("canvas").setAttribute("aria-label", `Image ${answer.name}`);
  $("toggle-label").disabled = !answer.labeled;
  const rows = answer.components.map(each => {
    const row = make("tr", { tabIndex: 0, className: each.state.replace(" ", "-") },
      make("td", {}, swatch(each.name), each.name), make("td", {}, String(each.area)),
      make("td", {}, short(each.probability)), make("td", {}, each.state));
    row.onclick = () => viewer.focus(each);
    row.onkeydown = event => { if (event.key === "Enter") viewer.focus(each); };
    return row;
  });
  $("components").tBodies[0].replaceChildren(...rows);
  $("components").tHead.hidden = !rows.length;
  $("components").caption.textContent = !rows.length ? "Nothing found: this part passes."
    : answer.others ? `and ${answer.others} smaller ones` : "";
  $("said").textContent = answer.verdict ?? "";
  $("undo").disabled = !answer.verdict;
}

// ---- Pointer

let pointed = null;
const updateReadout = latest(async () => {
  if (pointed === null || current === null) { $("readout").hidden = true; return; }
  const [row, column] = pointed;
  const place = new URLSearchParams({ image: current, row, column });
  const values = await ask(`/probabilities?${place}`, undefined, "GET");
  $("readout").replaceChildren(...Object.entries(values).map(([name, value]) =>
    make("span", { className: value > rule.thresholds[name] ? "above" : "" }, swatch(name), `${name} ${short(value)}`)));
  $("readout").hidden = pointed === null;
});

// ---- Images of the person

async function upload(files) {
  const failed = [];
  for (const [index, file] of [...files].entries()) {
    say(`Predicting ${index + 1} of ${files.length}: ${file.name}`);
    try {
      if (file.size > start.largest_file) throw new Error(`has more than ${start.largest_file / 2 ** 20} MiB`);
      const name = new URLSearchParams({ name: file.name });
      const result = await send(`/upload?${name}`, { method: "PUT", body: file });
      start.uploads = result.uploads;
      showWalks();
      $("walk").value = "upload";
      makeList();
      go(`upload/${result.number}`);
    } catch (error) { failed.push(`${file.name}: ${error.message}`); }
  }
  say(failed.join("\n"));
}

// ---- Verdicts

const give = guarded(async verdict => {
  if (!start.out || current === null) return;
  const address = current;
  const answer = await ask("/verdict", { image: address, rule, verdict });
  say(verdict ? "" : "Taken back.");
  if (address === current) showImage(address, answer);
  if (verdict) step(1);
});

// ---- Begin

function listen() {
  $("previous").onclick = () => step(-1);
  $("next").onclick = () => step(1);
  $("walk").onchange = () => { makeList(); if (list.length) go(list[0]); };
  $("fit").onclick = () => viewer.fit();
  $("zoom-in").onclick = () => viewer.zoom(1.5);
  $("zoom-out").onclick = () => viewer.zoom(1 / 1.5);
  for (const layer of ["prediction", "label"])
    $(`toggle-${layer}`).onclick = () => $(`toggle-${layer}`).setAttribute("aria-pressed", viewer.toggle(layer));
  for (const id of ["cost-miss", "cost-alarm"])
    $(id).oninput = () => { costs = null; showFigures(showFigures.last); };
  $("save").onclick = guarded(async () => { saved = await ask("/decision", { rule, costs }, "PUT"); showState(); });
  $("automatic").onclick = guarded(async () => {
    await ask("/decision", undefined, "DELETE");
    saved = null;
    setRule(start.automatic.rule);
  });
  $("cheapest").onclick = guarded(async () => {
    say("Looking for the cheapest thresholds…");
    const asked = { miss: Number($("cost-miss").value), false_alarm: Number($("cost-alarm").value) };
    const found = (await ask("/cheapest", asked)).rule;
    costs = asked;
    say("");
    setRule(found);
  });
  $("open").onclick = () => $("files").click();
  $("files").onchange = () => { upload([...$("files").files]); $("files").value = ""; };
  $("help").onclick = () => $("keys").showModal();
  $("accept").onclick = () => give("accepted");
  $("none").onclick = () => give("no defect");
  $("reject").onclick = () => give("rejected");
  $("undo").onclick = () => give(null);
  addEventListener("dragover", event => { event.preventDefault(); $("drop").hidden = false; });
  addEventListener("dragleave", event => { if (!event.relatedTarget) $("drop").hidden = true; });
  addEventListener("drop", event => {
    event.preventDefault();
    $("drop").hidden = true;
    upload([...event.dataTransfer.files]);
  });
  const keys = { ArrowLeft: "previous", ArrowRight: "next", p: "toggle-prediction", l: "toggle-label", "+": "zoom-in",
    "=": "zoom-in", "-": "zoom-out", 0: "fit", "?": "help", a: "accept", n: "none", r: "reject", u: "undo" };
  addEventListener("keydown", event => {
    const typing = event.target.closest("input, select, textarea, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    $(keys[event.key]).click();
  });
}

guarded(async () => {
  history.replaceState(null, "", "/"); // the cookie has the token; the address needs it no longer
  start = await ask("/start", undefined, "GET");
  document.title = $("title").textContent = start.title;
  saved = start.decision;
  rule = structuredClone(saved ? saved.rule : start.automatic.rule);
  viewer = new Viewer($("canvas"), start.tile, place => { pointed = place; updateReadout(); }, busy);
  viewer.setRule(query(rule));
  $("verdict").hidden = !start.out;
  if (!start.out) for (const element of document.querySelectorAll(".out")) element.remove();
  listen();
  buildSliders();
  rebase();
  showRule();
  await updateFigures();
})();
