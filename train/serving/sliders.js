// The sliders of a decision rule: a threshold and a smallest size for each class, and one for all thresholds.
import { $, count, make, mark, numberField, percent, swatch } from "/elements.js";

const [LOWEST, HIGHEST] = [-7, 7]; // of a threshold, in log odds
const MOST_AREA = 12; // of a smallest size, as a power of two

const odds = threshold => Math.log(threshold / (1 - threshold));
const within = (value, low, high) => Math.min(Math.max(value, low), high);
const [SMALLEST, LARGEST] = [0.0001, 0.9999]; // thresholds that are typed
const rounded = value => Number(value.toPrecision(4));
const ofOdds = value => within(rounded(1 / (1 + Math.exp(-value))), SMALLEST, LARGEST);

export class Sliders {
  // `changed` is called when the person has moved something; then `rule` is another.
  constructor(defects, changed) {
    Object.assign(this, { defects, changed });
    this.rows = defects.map(defect => this.build(defect));
    $("sliders").replaceChildren(...this.rows.map(({ row }) => row));
    $("everything").hidden = defects.length < 2;
    $("shift").oninput = () => {
      const shift = Number($("shift").value), thresholds = {};
      for (const { name } of defects)
        thresholds[name] = shift ? ofOdds(odds(this.base[name]) + shift) : this.base[name];
      this.rule = { ...this.rule, thresholds };
      this.show();
      this.changed();
    };
  }

  build({ name, color }) {
    const named = (label, properties) => {
      const made = make("input", properties);
      made.setAttribute("aria-label", `${name}: ${label}`);
      return made;
    };
    const slider = (label, min, max, step) => named(label, { type: "range", min, max, step });
    const field = label => named(label, { type: "text", inputMode: "decimal", className: "number" });
    const parts = {
      odds: slider("threshold, in log odds", LOWEST, HIGHEST, 0.05),
      threshold: field("threshold"),
      thresholdNote: make("p", { className: "invalid", role: "alert" }),
      power: slider("smallest size, as a power of two", 0, MOST_AREA, 0.25),
      area: field("smallest size in pixels"),
      areaNote: make("p", { className: "invalid", role: "alert" }),
      figures: make("p", { className: "figures" }),
    };
    const take = (field, value) => {
      const rule = { ...this.rule, [field]: { ...this.rule[field], [name]: value } };
      if (field === "thresholds") this.set(rule);
      else { this.rule = rule; this.show(); }
      this.changed();
    };
    parts.odds.oninput = () => take("thresholds", ofOdds(Number(parts.odds.value)));
    numberField(parts.threshold, parts.thresholdNote, {
      takes: value => value >= SMALLEST && value <= LARGEST,
      says: `threshold: takes ${SMALLEST} to ${LARGEST}; the last valid one counts`,
    }, value => take("thresholds", value));
    parts.power.oninput = () => take("minimum_areas", Math.round(2 ** parts.power.value));
    numberField(parts.area, parts.areaNote, {
      takes: value => Number.isInteger(value) && value >= 1 && value <= 2 ** MOST_AREA,
      says: `smallest size: takes a whole number of pixels from 1 to ${2 ** MOST_AREA}; the last valid one counts`,
    }, value => take("minimum_areas", value));
    const row = make("fieldset", {},
      make("legend", {}, swatch(color), name),
      make("div", { className: "ends" },
        make("span", {}, "← fewer misses"), make("span", {}, "fewer false alarms →")),
      make("div", { className: "slider" }, parts.odds, parts.threshold),
      parts.thresholdNote,
      make("div", { className: "slider small" }, make("span", {}, "ignore below"), parts.power, parts.area, "px"),
      parts.areaNote,
      parts.figures);
    return { name, row, ...parts };
  }

  // Take a rule; the slider of all thresholds shifts from it.
  set(rule) {
    this.rule = rule;
    this.base = rule.thresholds;
    $("shift").value = 0;
    this.show();
  }

  show() {
    for (const row of this.rows) {
      const chosen = this.rule.thresholds[row.name], smallest = this.rule.minimum_areas[row.name];
      row.odds.value = odds(chosen);
      row.threshold.value = rounded(chosen);
      row.threshold.title = chosen;
      row.power.value = Math.log2(smallest);
      row.area.value = smallest;
      mark(row.threshold, row.thresholdNote, "");
      mark(row.area, row.areaNote, "");
    }
  }

  // `tooSmall` are the missed defects of each class that only their smallest size hides.
  showFigures(classes, tooSmall) {
    const hidden = Object.values(tooSmall).reduce((sum, number) => sum + number, 0);
    $("too-small").textContent = hidden
      ? `${count(hidden, "defect")} missed because of "ignore below"` : "";
    for (const { name, figures } of this.rows) {
      const { found, missed, false_alarms, iou, precision, recall } = classes[name];
      const small = tooSmall[name]
        ? ` (${tooSmall[name]} predicted smaller than ${this.rule.minimum_areas[name]} px)` : "";
      figures.textContent = `${count(found, "defect")} found, ${missed} missed${small}, ` +
        `${count(false_alarms, "false alarm")} · ` +
        `IoU ${percent(iou)}, precision ${percent(precision)}, recall ${percent(recall)}`;
    }
  }

  // The rule in an address, whose length is limited: numbers in the order of the classes.
  get query() {
    const numbers = field => this.defects.map(({ name }) => this.rule[field][name]);
    return ["thresholds", "minimum_areas"].map(field => `${field}=${numbers(field)}`).join("&");
  }
}
