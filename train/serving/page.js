// The page: images to walk through, thresholds with what they cost, verdicts. All figures come from the server.
import { $, count, make, numberField, probability, swatch } from "/elements.js";
import { action, ask, busy, guarded, latest, say, send } from "/requests.js";
import { Sliders } from "/sliders.js";
import { Viewer } from "/viewer.js";

const WALKS = {
  worst: "images, worst first", missed: "with a missed defect", false_alarms: "with a false alarm",
  passed: "wrongly passed", scrapped: "wrongly scrapped",
};

const COSTS = [["cost-miss", "miss", "a bad part passed"], ["cost-alarm", "false_alarm", "a good part scrapped"]];

let start, viewer, sliders;
let standing; // the decision in use, or why none is, and the digest of the decision that this page has seen
let prices = { miss: 10, false_alarm: 1 }, costs = null; // as entered, and those that the sliders make lowest
let walks = {}, list = [], current = null;

// ---- Thresholds

const equal = (a, b) => JSON.stringify(a) === JSON.stringify(b);

function showState() {
  const { decision, other } = standing;
  const changed = !equal(sliders.rule, decision ? decision.rule : start.automatic.rule)
    || (costs !== null && !equal(costs, decision?.costs));
  $("save").disabled = !changed && !other;
  $("automatic").disabled = !decision && !changed && !other;
  $("state").textContent = (changed ? "Not saved. " : "") +
    (decision ? `In use: chosen by a person, ${decision.chosen}.`
      : other ? `In use: none; ${other}.` : "In use: the automatic choice.");
}

// Change the decision of the run. Where this is refused, say what is in use; the next change is still one of the
// decision that this page has seen.
async function decide(method, value) {
  try {
    standing = await ask("/decision", { ...value, seen: standing.digest }, method);
  } catch (error) {
    const { decision, other } = await ask("/decision", undefined, "GET");
    standing = { ...standing, decision, other };
    showState();
    throw error;
  }
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
  document.body.classList.add("busy", "stale"); // the figures are of another rule until new ones are there
  try {
    const answer = await ask("/figures", { rule: sliders.rule });
    document.body.classList.remove("stale");
    showFigures(answer.figures, answer.too_small);
    walks = answer.walks;
    showWalks();
  } finally { document.body.classList.remove("busy"); }
});

const total = figures => prices.miss * figures.wrongly_passed + prices.false_alarm * figures.wrongly_scrapped;

function showFigures(figures, tooSmall) {
  showFigures.last = [figures, tooSmall];
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
  sliders.showFigures(figures.classes, tooSmall);
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
  say("");
  given = [];
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
  say("");
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
      make("td", {}, swatch(color(each.name)), each.name),
      make("td", {}, `${each.area}${each.state === "missed" ? " labeled" : ""}`),
      make("td", {}, probability(each.probability)),
      make("td", {}, each.state + (each.too_small ? `: predicted smaller than ${each.too_small} px` : "")));
    row.onclick = () => { viewer.focus(each); $("stage").scrollIntoView({ block: "nearest" }); };
    row.onkeydown = event => { if (event.key === "Enter") row.click(); };
    return row;
  });
  $("components").tBodies[0].replaceChildren(...rows);
  $("components").tHead.hidden = !rows.length;
  const missed = answer.components.some(({ state }) => state === "missed");
  $("components").caption.textContent = !rows.length ? "Nothing found: this part passes."
    : (answer.others ? `and ${count(answer.others, "smaller one")}. ` : "") +
      (missed ? "Missed: pixels of the label, and the highest probability in them." : "");
  $("said").textContent = answer.verdict ?? "";
  $("undo").disabled = !answer.verdict && !given.length;
  const handed = Object.entries(answer.handed ?? {}).filter(([, number]) => number);
  $("handed").textContent = handed.length
    ? `${handed.map(([what, number]) => `${number} ${what}`).join(", ")} in ${start.out}` : "";
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
      if (file.size > start.largest_file) throw new Error(start.too_large);
      const name = new URLSearchParams({ name: file.name });
      const result = await send(`/upload?${name}`, { method: "PUT", body: file });
      start.uploads = result.uploads;
      showWalks();
      $("walk").value = "upload";
      makeList();
      given = [];
      go(`upload/${result.number}`);
    } catch (error) { failed.push(`${file.name}: ${error.message}`); }
  }
  say(failed.join("\n"));
}

// ---- Verdicts

let given = []; // images whose verdict can be taken back one after another; walking by hand forgets them
let turn = Promise.resolve();

const inTurn = task => action((...values) => { turn = turn.catch(() => {}).then(() => task(...values)); return turn; });

async function give(address, verdict) {
  const answer = await ask("/verdict", { image: address, rule: sliders.rule, verdict });
  if (address === current) showImage(address, answer);
}

const giveShown = verdict => {
  if (!start.out || current === null) return;
  const address = current;
  $("undo").disabled = false;
  inTurn(async () => {
    await give(address, verdict);
    given.push(address);
    if (address === current) step(1);
  })();
};

const undo = inTurn(async () => {
  const address = given.at(-1) ?? current;
  if (!start.out || address === null) return;
  go(address);
  await give(address, null);
  given.pop();
  say("Taken back.");
  updateImage();
});

// ---- Begin

function listen() {
  for (const [id, by] of [["previous", -1], ["next", 1]]) $(id).onclick = () => { given = []; step(by); };
  $("walk").onchange = () => { $("walk").blur(); walk($("walk").value); }; // the keys are those of the page again
  for (const each of ["passed", "scrapped"]) $(`show-${each}`).onclick = () => walk(`validation ${each}`);
  $("fit").onclick = () => viewer.fit();
  $("zoom-in").onclick = () => viewer.zoom(1.5);
  $("zoom-out").onclick = () => viewer.zoom(1 / 1.5);
  for (const layer of ["prediction", "label"])
    $(`toggle-${layer}`).onclick = () => $(`toggle-${layer}`).setAttribute("aria-pressed", viewer.toggle(layer));
  for (const [id, name, what] of COSTS)
    numberField($(id), $(`${id}-note`), {
      takes: value => value > 0 && value <= start.largest_cost,
      says: `${what}: takes a number above 0, at most ${start.largest_cost}; the last valid one counts`,
    }, value => {
      prices = { ...prices, [name]: value };
      costs = null;
      showFigures(...showFigures.last);
      showState();
    }, true);
  $("save").onclick = action(async () => {
    await decide("PUT", { rule: sliders.rule, costs });
    showState();
  });
  $("automatic").onclick = action(async () => {
    await decide("DELETE", {});
    costs = null;
    sliders.set(start.automatic.rule);
    ruleChanged();
  });
  $("cheapest").onclick = action(async () => {
    say("Looking for the cheapest thresholds…");
    const asked = prices;
    sliders.set((await ask("/cheapest", asked)).rule);
    costs = asked;
    say("");
    ruleChanged();
  });
  $("open").onclick = () => $("files").click();
  $("files").onchange = () => { upload([...$("files").files]); $("files").value = ""; };
  $("help").onclick = () => $("keys").showModal();
  $("accept").onclick = () => giveShown("accepted");
  $("none").onclick = () => giveShown("no defect");
  $("reject").onclick = () => giveShown("rejected");
  $("undo").onclick = undo;
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
  standing = start.standing;
  costs = standing.decision?.costs ?? null;
  prices = costs ?? prices;
  for (const [id, name] of COSTS) $(id).value = prices[name];
  viewer = new Viewer($("canvas"), start.tile, place => { pointed = place; updateReadout(); }, busy);
  sliders = new Sliders(start.defects, () => { say(""); costs = null; ruleChanged(); });
  sliders.set((standing.decision ?? start.automatic).rule);
  viewer.setRule(sliders.query);
  showState();
  $("verdict").hidden = !start.out;
  if (!start.out) for (const element of document.querySelectorAll(".out")) element.remove();
  listen();
  await updateFigures();
})();
