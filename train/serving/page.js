// The page: images to walk through, thresholds with what they cost, verdicts. All figures come from the server.
import { $, make, probability, swatch } from "/elements.js";
import { Sliders } from "/sliders.js";
import { Viewer } from "/viewer.js";

const WALKS = {
  worst: "images, worst first", missed: "with a missed defect", false_alarms: "with a false alarm",
  passed: "wrongly passed", scrapped: "wrongly scrapped",
};

let start, viewer, sliders;
let saved, costs = null; // the decision of the run, and the costs that the sliders make lowest
let walks = {}, list = [], current = null;

// ---- Requests

let pending = 0; // requests, tiles and paintings that are waited for
function busy(change) {
  pending += change;
  document.body.setAttribute("aria-busy", pending > 0);
}

async function send(address, options) {
  busy(1);
  try {
    const answer = await fetch(address, options).catch(() => {
      throw new Error("There is no answer: is the command still running?");
    });
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
  return async () => {
    again = true;
    if (running) return;
    running = true;
    while (again) {
      again = false;
      await guarded(task)();
    }
    running = false;
  };
}

// ---- Thresholds

const equal = (a, b) => JSON.stringify(a) === JSON.stringify(b);

function showState() {
  const kept = saved ? saved.rule : start.automatic.rule;
  const changed = !equal(sliders.rule, kept);
  $("save").disabled = !changed;
  $("automatic").disabled = !saved && !changed && !start.other;
  const since = saved && new Date(saved.chosen).toLocaleString();
  $("state").textContent = (changed ? "Not saved. " : "") +
    (saved ? `In use: chosen by a person, ${since}.`
      : start.other ? `In use: none. The saved decision ${start.other}; save another, or go back to automatic.`
        : "In use: the automatic choice.");
}

function ruleChanged() {
  showState();
  if (ruleChanged.waits) return;
  ruleChanged.waits = true;
  busy(1);
  setTimeout(() => {
    ruleChanged.waits = false;
    viewer.setRule(sliders.query);
    updateFigures();
    updateImage();
    busy(-1);
  }, 40);
}

const updateFigures = latest(async () => {
  document.body.classList.add("busy");
  try {
    const answer = await ask("/figures", { rule: sliders.rule });
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
  $("show-passed").disabled = !figures.wrongly_passed;
  $("scrapped").textContent = figures.wrongly_scrapped;
  $("show-scrapped").disabled = !figures.wrongly_scrapped;
  $("scrapped-of").textContent = `of ${figures.clean} good ones`;
  was("scrapped-was", figures.wrongly_scrapped, automatic.wrongly_scrapped);
  const money = value => Number(value.toFixed(2)).toLocaleString("en");
  $("cost").textContent = money(total(figures));
  was("cost-was", money(total(figures)), money(total(automatic)));
  sliders.showFigures(figures.classes);
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

function walk(chosen) {
  $("walk").value = chosen;
  makeList();
  if (list.length) go(list[0]);
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
  const answer = await ask("/image", { image: address, rule: sliders.rule });
  if (address === current) showImage(address, answer);
});

const color = name => start.defects.find(defect => defect.name === name).color;

function showImage(address, answer) {
  viewer.show(address, answer.width, answer.height, answer.labeled);
  $("name").textContent = $("name").title = answer.name;
  $("canvas").setAttribute("aria-label", `Image ${answer.name}`);
  $("toggle-label").disabled = !answer.labeled;
  const rows = answer.components.map(each => {
    const row = make("tr", { tabIndex: 0, className: each.state.replace(" ", "-") },
      make("td", {}, swatch(color(each.name)), each.name), make("td", {}, String(each.area)),
      make("td", {}, probability(each.probability)), make("td", {}, each.state));
    row.onclick = () => { viewer.focus(each); $("stage").scrollIntoView({ block: "nearest" }); };
    row.onkeydown = event => { if (event.key === "Enter") row.click(); };
    return row;
  });
  $("components").tBodies[0].replaceChildren(...rows);
  $("components").tHead.hidden = !rows.length;
  $("components").caption.textContent = !rows.length ? "Nothing found: this part passes."
    : answer.others ? `and ${answer.others} smaller ones` : "";
  $("said").textContent = answer.verdict ?? "";
  $("undo").disabled = !answer.verdict;
  const given = Object.entries(answer.handed ?? {}).filter(([, number]) => number);
  $("handed").textContent = given.length ? `${start.out}: ${given.map(([what, n]) => `${n} ${what}`).join(", ")}` : "";
}

// ---- Pointer

let pointed = null;
const updateReadout = latest(async () => {
  if (pointed === null || current === null) { $("readout").hidden = true; return; }
  const [row, column] = pointed;
  const place = new URLSearchParams({ image: current, row, column });
  const values = await ask(`/probabilities?${place}`, undefined, "GET");
  $("readout").replaceChildren(...Object.entries(values).map(([name, value]) =>
    make("span", { className: value > sliders.rule.thresholds[name] ? "above" : "" },
      swatch(color(name)), `${name} ${probability(value)}`)));
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
  const answer = await ask("/verdict", { image: address, rule: sliders.rule, verdict });
  say(verdict ? "" : "Taken back.");
  if (address === current) showImage(address, answer);
  if (verdict) step(1);
});

// ---- Begin

function listen() {
  $("previous").onclick = () => step(-1);
  $("next").onclick = () => step(1);
  $("walk").onchange = () => { $("walk").blur(); walk($("walk").value); }; // the keys are those of the page again
  for (const each of ["passed", "scrapped"]) $(`show-${each}`).onclick = () => walk(`validation ${each}`);
  $("fit").onclick = () => viewer.fit();
  $("zoom-in").onclick = () => viewer.zoom(1.5);
  $("zoom-out").onclick = () => viewer.zoom(1 / 1.5);
  for (const layer of ["prediction", "label"])
    $(`toggle-${layer}`).onclick = () => $(`toggle-${layer}`).setAttribute("aria-pressed", viewer.toggle(layer));
  for (const id of ["cost-miss", "cost-alarm"])
    $(id).oninput = () => { costs = null; showFigures(showFigures.last); };
  $("save").onclick = guarded(async () => { 
    saved = await ask("/decision", { rule: sliders.rule, costs }, "PUT");
    start.other = null;
    showState();
  });
  $("automatic").onclick = guarded(async () => {
    await ask("/decision", undefined, "DELETE");
    saved = null;
    costs = start.other = null;
    sliders.set(start.automatic.rule);
    ruleChanged();
  });
  $("cheapest").onclick = guarded(async () => {
    say("Looking for the cheapest thresholds…");
    const asked = { miss: Number($("cost-miss").value), false_alarm: Number($("cost-alarm").value) };
    sliders.set((await ask("/cheapest", asked)).rule);
    costs = asked;
    say("");
    ruleChanged();
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
    const moving = event.target.type === "range" && event.key.length === 1; // letters do not move a slider
    const typing = event.target.closest("input, select, dialog") && !moving;
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    $(keys[event.key]).click();
  });
}

guarded(async () => {
  history.replaceState(null, "", "/"); // the cookie has the token; the address needs it no longer
  start = await ask("/start", undefined, "GET");
  document.title = $("title").textContent = start.title;
  $("about").textContent = `figures of the validation part, ${start.parts.validation} images`;
  saved = start.decision;
  viewer = new Viewer($("canvas"), start.tile, place => { pointed = place; updateReadout(); }, busy);
  sliders = new Sliders(start.defects, () => { costs = null; ruleChanged(); });
  sliders.set(saved ? saved.rule : start.automatic.rule);
  viewer.setRule(sliders.query);
  showState();
  $("verdict").hidden = !start.out;
  if (!start.out) for (const element of document.querySelectorAll(".out")) element.remove();
  listen();
  await updateFigures();
})();
