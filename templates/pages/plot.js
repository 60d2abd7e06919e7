// Plots as inline SVG. Colours and fonts come from page.css, sizes are units of the view box.

const WIDTH = 420;
const HEIGHT = 240;
const LEFT = 46;
const RIGHT = 12;
const TOP = 14;
const BOTTOM = 40;

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Round numbers from 0 to at least `most`, some four of them.
export function ticks(most) {
  if (!(most > 0)) return [0, 1];
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const count = Math.ceil(most / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

export function short(number) {
  if (number >= 1e6) return `${Number((number / 1e6).toPrecision(3))}M`;
  if (number >= 1e4) return `${Number((number / 1e3).toPrecision(3))}k`;
  return number.toLocaleString("en", { maximumSignificantDigits: 4 });
}

// `points`: [{x, y, weight, text}], x ascending. `marks`: [{x, text}], upright lines.
export function plot({ title, xTitle, points, marks, widest }) {
  const xMost = Math.max(widest, ...points.map((each) => each.x));
  const xTicks = ticks(xMost).filter((value) => value <= xMost);
  const yTicks = ticks(Math.max(...points.map((each) => each.y)));
  const right = WIDTH - RIGHT;
  const bottom = HEIGHT - BOTTOM;
  const xAt = (value) => LEFT + (value / xMost) * (right - LEFT);
  const yAt = (value) => bottom - (value / yTicks.at(-1)) * (bottom - TOP);
  const made = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "plot", role: "img", "aria-label": title });
  for (const value of yTicks) {
    made.append(svg("line", { class: "grid", x1: LEFT, x2: right, y1: yAt(value), y2: yAt(value) }),
      svg("text", { x: LEFT - 7, y: yAt(value) + 4, "text-anchor": "end" }, short(value)));
  }
  for (const value of xTicks) {
    made.append(svg("text", { x: xAt(value), y: bottom + 17, "text-anchor": "middle" }, short(value)));
  }
  made.append(svg("text", { x: (LEFT + right) / 2, y: HEIGHT - 5, "text-anchor": "middle" }, xTitle));
  for (const { x, text } of marks) {
    const left = xAt(x) > LEFT + 60;
    made.append(svg("line", { class: "mark", x1: xAt(x), x2: xAt(x), y1: TOP, y2: bottom }),
      svg("text", { class: "mark", x: xAt(x) + (left ? -5 : 5), y: bottom - 7, "text-anchor": left ? "end" : "start" }, text));
  }
  made.append(svg("polyline", { class: "curve", points: points.map((each) => `${xAt(each.x)},${yAt(each.y)}`).join(" ") }));
  const heaviest = Math.max(...points.map((each) => each.weight));
  for (const each of points) {
    const radius = 3 + 3 * Math.sqrt(each.weight / heaviest);
    made.append(svg("circle", { class: "point", cx: xAt(each.x), cy: yAt(each.y), r: radius.toFixed(1) }, svg("title", {}, each.text)));
  }
  return made;
}

// One bar; `part` from 0 to 1.
export function bar(part) {
  return svg("svg", { class: "bar", "aria-hidden": "true" },
    svg("rect", { class: "trough", width: "100%", height: "100%", rx: 3 }),
    svg("rect", { class: "fill", width: `${(100 * part).toFixed(2)}%`, height: "100%", rx: 3 }));
}
