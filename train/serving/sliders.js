// The sliders of a decision rule: a threshold and a smallest size for each class, and one for all thresholds.
import { $, make, percent, swatch } from "/elements.js";

const [LOWEST, HIGHEST] = [-7, 7]; // of a threshold, in log odds
const MOST_AREA = 12; // of a smallest size, as a power of two

const odds = threshold => Math.log(threshold / (1 - threshold));
const within = (value, low, high) => Math.min(Math.max(value, low), high);
const threshold = value => within(Number(Number(value).toPrecision(4)), 0.0001, 0.9999);
const ofOdds = value => threshold(1 / (1 + Math.exp(-value)));
const area = value => within(Math.round(value), 1, 2 ** MOST_AREA);

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
    const input = (type, label, low, high, step) => {
      const made = make("input", { type, min: low, max: high, step });
      made.setAttribute("aria-label", `${name}: ${label}`);
      return made;
    };
    const parts = {
      odds: input("range", "threshold, in log odds", LOWEST, HIGHEST, 0.05),
      threshold: input("number", "threshold", 0.0001, 0.9999, "any"),
      power: input("range", "smallest size, as a power of two", 0, MOST_AREA, 0.25),
      area: input("number", "smallest size in pixels", 1, 2 ** MOST_AREA, 1),
      figures: make("p", { className: "figures" }),
    };
    const take = (field, value) => {
      const rule = { ...this.rule, [field]: { ...this.rule[field], [name]: value } };
      if (field === "thresholds") this.set(rule);
      else { this.rule = rule; this.show(); }
      this.changed();
    };
    parts.odds.oninput = () => take("thresholds", ofOdds(Number(parts.odds.value)));
    parts.threshold.onchange = () => parts.threshold.value && take("thresholds", threshold(parts.threshold.value));
    parts.power.oninput = () => take("minimum_areas", area(2 ** parts.power.value));
    parts.area.onchange = () => parts.area.value && take("minimum_areas", area(parts.area.value));
    const row = make("fieldset", {},
      make("legend", {}, swatch(color), name),
      make("div", { className: "ends" }, make("span", {}, "← fewer misses"), make("span", {}, "fewer false alarms →")),
      make("div", { className: "slider" }, parts.odds, parts.threshold),
      make("div", { className: "slider small" }, make("span", {}, "ignore below"), parts.power, parts.area, "px"),
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
      row.threshold.value = threshold(chosen);
      row.threshold.title = chosen;
      row.power.value = Math.log2(smallest);
      row.area.value = smallest;
    }
  }

  showFigures(classes) {
    for (const { name, figures } of this.rows) {
      const { found, missed, false_alarms, iou, precision, recall } = classes[name];
      figures.textContent = `${found} defects found, ${missed} missed, ${false_alarms} false alarms · ` +
        `IoU ${percent(iou)}, precision ${percent(precision)}, recall ${percent(recall)}`;
    }
  }

  // The rule in an address, whose length is limited: numbers in the order of the classes.
  get query() {
    const numbers = field => this.defects.map(({ name }) => this.rule[field][name]);
    return ["thresholds", "minimum_areas"].map(field => `${field}=${numbers(field)}`).join("&");
  }
}
