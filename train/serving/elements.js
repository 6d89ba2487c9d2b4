// Elements and texts. Texts from outside, such as names, become text nodes and never markup.

export const $ = id => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function swatch(color) {
  const mark = make("span", { className: "swatch" });
  mark.style.background = color;
  return mark;
}

export const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

const NUMBER = /^[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?$/i;
const THOUSANDS = /^[1-9]\d{0,2}(,\d{3})+$/; // a comma that may not be the decimal one

// Make a field one of numbers, with a decimal point or comma. `take` is called with a number that the field `takes`;
// another text is marked at once, and `note` `says` what it takes. `often`: with each letter, not at the end alone.
export function numberField(input, note, { takes, says }, take, often = false) {
  const read = () => {
    const text = input.value.trim();
    const value = NUMBER.test(text) && !THOUSANDS.test(text) ? Number(text.replace(",", ".")) : NaN;
    const valid = takes(value);
    mark(input, note, valid ? "" : says);
    return valid ? value : null;
  };
  const pass = () => { const value = read(); if (value !== null) take(value); };
  input.oninput = often ? pass : read;
  input.onchange = pass;
}

// Mark a field as invalid and say why, or take this back.
export function mark(input, note, text) {
  input.setAttribute("aria-invalid", text !== "");
  note.textContent = text;
}

export const percent = value => value === null ? "–" : `${(100 * value).toFixed(1)} %`;
export const probability = value => value > 0.9995 ? "> 0.999" : value < 0.0005 ? "< 0.001" : value.toFixed(3);
