// Why batches leave when they do: what was learned, what was decided, and the last batches.

import { element, fail, showReadiness } from "./element.js";
import { bar, plot, short } from "./plot.js";
import { load } from "./token.js";

const main = document.getElementById("main");
const side = document.getElementById("side");
const FOLLOW_MS = 1000;

const reasons = {
  "idle worker": "a worker was free and took what waited",
  full: "as many rows as a batch may have waited",
  ahead: "the same, sent just before its worker was free, so that it need not wait for it",
  shared: "rows were shared out among several free workers",
  probe: "another size was tried, to learn how long it takes",
  retry: "run again after its worker ended",
  bisect: "half of a batch that failed, to find the guilty request",
};
const holds = {
  hold: "waited for callers that come back soon after their answer",
  spread: "waited so that workers do not run in step",
};

let shown = "";
let timer = 0;

async function refresh() {
  const told = await load("debug/batching");
  document.title = `${told.title} · batching`;
  document.getElementById("title").textContent = told.title;
  draw(told);
}

function draw(told) {
  const keys = told.processes.map(keyOf);
  if (!keys.includes(shown)) [shown] = keys;
  const process = told.processes[keys.indexOf(shown)];
  const methods = methodsOf(process);
  side.replaceChildren(element("p", {}, "Methods"),
    ...methods.map(({ id, title }) => element("a", { href: `#${id}` }, title)));
  const focused = document.activeElement?.id;
  const before = new Map([...main.querySelectorAll("[data-keep]")].map((each) => [each.dataset.keep, each]));
  main.replaceChildren(
    element("header", { class: "heading" }, element("h1", {}, "Batching"), controls(told)),
    element("p", { class: "soft" }, `As of ${clock(process.time)}. `,
      told.processes.length > 1 ? "Each API process forms batches and learns by itself. " : "",
      "The same as JSON: ", element("code", {}, "bundle batching --json"), "."),
    told.silent.length ? element("p", { class: "note bad" }, `No answer from ${told.silent.join(", ")}: busy with something else.`) : "",
    ...(told.processes.length > 1 ? [overview(told)] : []),
    ...methods.map((each) => card(each, process)));
  if (!methods.length) main.append(element("p", { class: "note" }, "This service has no runners, so nothing is batched."));
  for (const each of main.querySelectorAll("[data-keep]")) {
    const had = before.get(each.dataset.keep);
    if (had?.tagName === "DETAILS") each.open = had.open;
    else if (had) each.scrollTop = had.scrollTop;
  }
  if (focused) document.getElementById(focused)?.focus();
}

function keyOf(process) {
  return `${process.generation}/${process.process}`;
}

function nameOf(process, told) {
  const several = new Set(told.processes.map((each) => each.generation)).size > 1;
  return several ? `${process.process}, generation ${process.generation}` : process.process;
}

function methodsOf(process) {
  return Object.entries(process.runners).flatMap(([runner, told]) =>
    Object.entries(told.methods).map(([name, method]) => ({
      id: `${runner}.${name}`, title: `${runner}.${name}`, runner: told, method,
    })));
}

function controls(told) {
  const follow = element("button", { type: "button", class: "small", id: "follow", "aria-pressed": String(timer !== 0), onclick: toggle },
    timer ? "Stop following" : "Follow");
  const choose = element("select", { "aria-label": "API process", id: "process", onchange: (event) => { shown = event.target.value; draw(told); } },
    told.processes.map((each) => element("option", { value: keyOf(each), selected: keyOf(each) === shown }, nameOf(each, told))));
  return element("div", { class: "controls" },
    told.processes.length > 1 ? choose : null,
    element("button", { type: "button", class: "small", id: "refresh", onclick: attempt }, "Refresh"), follow);
}

function toggle() {
  if (timer) clearInterval(timer);
  timer = timer ? 0 : setInterval(attempt, FOLLOW_MS);
  attempt();
}

async function attempt() {
  try {
    await refresh();
  } catch (error) {
    clearInterval(timer);
    timer = 0;
    main.querySelector(".lost")?.remove();
    main.prepend(element("p", { class: "note bad lost", role: "alert" }, `No answer: ${error.message}`));
  }
  showReadiness();
}

function returns(expected) {
  if (!expected.length) return null;
  const { delay_s: delay, share } = expected.at(-1);
  return element("p", { class: "soft" },
    `Callers come back: ${percent(Math.min(1, share))} of the rows within ${milliseconds(delay)} ms after an answer.`);
}

function chosen(counts, names) {
  return Object.fromEntries(names.map((name) => [name, counts[name]]));
}

function overview(told) {
  const rows = told.processes.flatMap((process) => methodsOf(process).map(({ title, method }) => [
    nameOf(process, told), title, number(method.batches), number(method.rows), rowsEach(method), method.batch ? number(method.cap) : "", number(method.waiting)]));
  return element("section", { class: "card", "aria-label": "All processes" },
    element("header", {}, element("h2", {}, "All processes")),
    table(["Process", "Method", "Batches", "Rows", "Rows a batch", "Cap", "Waiting"], rows, 2));
}

function card({ id, title, runner, method }, process) {
  return element("section", { class: "card", id, "aria-labelledby": `${id}-title` },
    element("header", {}, element("h2", { class: "route", id: `${id}-title` }, title),
      method.batch ? null : element("span", { class: "chip" }, "one call at a time"),
      method.unit === "rows" ? null : element("span", { class: "chip" }, `cost: ${method.unit}`),
      method.batch && method.service_s.length ? element("span", { class: "chip" }, method.shape) : null),
    facts(runner, id, method),
    ...(method.batches ? [curves(id, method), counts(method), last(id, method, process)]
      : [element("p", { class: "soft" }, "No batches yet: send a request, then refresh.")]));
}

function facts(runner, id, method) {
  const limit = method.max_latency_s === null ? "none" : `${milliseconds(method.max_latency_s)} ms`;
  const unit = unitOf(method);
  const cap = `${number(method.cap)}${method.cap === method.max_rows ? "" : ` of ${number(method.max_rows)}`} ${unit}`;
  const running = [...runner.running, ...runner.ahead].filter((each) => id.endsWith(`.${each.method}`)).length;
  const all = [
    ["Batches", number(method.batches)],
    ["Rows", number(method.rows)],
    ["Rows a batch", rowsEach(method)],
    ["Cap", method.batch ? cap : ""],
    ["Callers in groups of", method.group === null ? "" : `${number(method.group)} ${unit}`],
    ["Latency limit", limit],
    ["Workers", number(method.workers)],
    ["Waiting now", `${number(method.waiting)} ${unit}`],
    ["At workers now", `${number(running)} batch${running === 1 ? "" : "es"}`],
    ["Arrived lately", `${short(Math.round(method.arrival_rate))} ${unit}/s`],
    ["Noise of a batch", method.service_s.length ? `${(100 * method.spread).toFixed(0)} %` : ""],
    ["Refused", number(method.decisions.refused + method.decisions.shed)],
  ];
  return element("dl", { class: "facts" }, all.filter(([, value]) => value !== "").map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

function curves(id, method) {
  const learned = method.service_s.filter((each) => each.seconds > 0);
  if (!learned.length) {
    return element("p", { class: "soft" }, "Nothing learned yet: the first batch of each worker does not count, it is slower than the others.");
  }
  const unit = unitOf(method);
  const words = (each) => `${each.rows.toFixed(1)} ${unit}: ${milliseconds(each.seconds)} ms, `
    + `${short(each.rows / each.seconds)} ${unit}/s, ${number(each.samples)} batches`;
  const points = (value) => learned.map((each) => ({ x: each.rows, y: value(each), weight: each.samples, text: words(each) }));
  const largest = learned.at(-1).rows;
  const widest = Math.max(largest, Math.min(method.max_rows, 1.5 * largest));
  const marks = method.cap <= widest ? [{ x: method.cap, text: `cap ${number(method.cap)}` }] : [];
  return element("div", {},
    element("div", { class: "plots" },
      figure("Time of a batch, in ms", unit, { points: points((each) => 1000 * each.seconds), marks, widest }),
      figure(`${capital(unit)} a second of one worker`, unit, { points: points((each) => each.rows / each.seconds), marks, widest })),
    element("details", { "data-keep": `${id}-numbers` }, element("summary", {}, "Numbers"),
      table([capital(unit), "ms", `${capital(unit)}/s`, "Batches"], learned.map((each) =>
        [each.rows.toFixed(1), milliseconds(each.seconds), short(each.rows / each.seconds), number(each.samples)]), 0)));
}

// What the policy counts: rows, or what `cost` makes of them.
function unitOf(method) {
  return method.unit === "rows" ? "rows" : "cost units";
}

function capital(word) {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function figure(title, unit, drawn) {
  return element("figure", {}, element("figcaption", {}, title), plot({ ...drawn, title, xTitle: `${unit} of a batch` }));
}

function counts(method) {
  return element("div", { class: "plots" },
    bars("Why batches left", method.reasons, reasons),
    method.batch ? element("div", {},
      bars("Why batches were held back", chosen(method.decisions, Object.keys(holds)), holds, "Never: nothing was gained by waiting."),
      returns(method.expected_returns)) : "");
}

function bars(title, counted, meanings, empty = "") {
  const rows = Object.entries(counted).filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
  const total = rows.reduce((sum, [, count]) => sum + count, 0);
  return element("div", {}, element("h3", {}, title),
    rows.length ? element("div", { class: "bars" }, rows.map(([name, count]) => element("div", {},
      element("div", { class: "label" }, element("span", {}, name), element("span", { class: "soft" }, `${number(count)} · ${percent(count / total)}`)),
      bar(count / total), element("p", { class: "soft" }, meanings[name] || ""))))
      : element("p", { class: "soft" }, empty));
}

function last(id, method, process) {
  const rows = [...method.last_batches].reverse().map((each) => [
    ago(process.time - each.at), number(each.rows), number(each.requests), each.reason,
    milliseconds(each.waited_s), milliseconds(each.service_s), each.worker]);
  return element("div", {}, element("h3", {}, `The last ${rows.length === 1 ? "batch" : `${rows.length} batches`}`),
    element("div", { class: "last", tabindex: "0", "data-keep": `${id}-last` },
      table(["Left", "Rows", "Requests", "Why", "Waited, ms", "Took, ms", "Worker"], rows, 0)));
}

function table(titles, rows, words) {
  return element("div", { class: "scroll" }, element("table", { class: "numbers" },
    element("thead", {}, element("tr", {}, titles.map((title) => element("th", { scope: "col" }, title)))),
    element("tbody", {}, rows.map((cells) => element("tr", {}, cells.map((cell, index) =>
      (index < words ? element("th", { scope: "row" }, cell) : element("td", {}, cell))))))));
}

function rowsEach(method) {
  return method.batches ? (method.rows / method.batches).toFixed(1) : "";
}

function number(value) {
  return value === null || value === undefined ? "" : Number(value).toLocaleString("en", { maximumFractionDigits: 1 });
}

function milliseconds(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const value = 1000 * seconds;
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function percent(part) {
  return part > 0 && part < 0.01 ? "< 1 %" : `${(100 * part).toFixed(0)} %`;
}

function ago(seconds) {
  if (seconds < 1) return `${Math.max(0, 1000 * seconds).toFixed(0)} ms ago`;
  if (seconds < 120) return `${seconds.toFixed(1)} s ago`;
  return seconds < 7200 ? `${(seconds / 60).toFixed(0)} min ago` : `${(seconds / 3600).toFixed(1)} h ago`;
}

function clock(time) {
  return new Date(1000 * time).toLocaleTimeString();
}

showReadiness();
refresh().catch((error) => fail(main, error));
