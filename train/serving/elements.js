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

export const percent = value => value === null ? "–" : `${(100 * value).toFixed(1)} %`;
export const probability = value => value > 0.9995 ? "> 0.999" : value < 0.0005 ? "< 0.001" : value.toFixed(3);
