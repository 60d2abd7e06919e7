// The page where a person reads the API and tries it.

import { address, chips, element, fail, readDocstring, showReadiness, typeWords } from "./element.js";
import { Form } from "./form.js";
import { Result } from "./result.js";
import { curlTo, load } from "./token.js";

const main = document.getElementById("main");

function show(service) {
  document.title = `${service.title} · tiffin`;
  document.getElementById("title").textContent = service.title;
  document.getElementById("side").append(
    element("p", {}, "Routes"),
    ...service.apis.map((api) => element("a", { href: `#api-${api.name}` }, api.route)),
    ...service.mounts.map((path) => element("a", { href: path.slice(1) }, path)),
  );
  main.append(
    element("h1", {}, service.name),
    service.doc ? element("p", { class: "doc" }, readDocstring(service.doc).text) : "",
    ...service.apis.map(card),
  );
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

function card(api) {
  const { text, args } = readDocstring(api.doc || "");
  return element("section", { class: "card", id: `api-${api.name}`, "aria-labelledby": `api-${api.name}-title` },
    element("header", {},
      element("span", { class: "verb" }, "POST"),
      element("h2", { class: "route", id: `api-${api.name}-title` }, api.route),
      api.stream ? element("span", { class: "chip" }, "stream") : null),
    text ? element("p", { class: "doc" }, text) : null,
    element("h3", {}, "Input"), inputTable(api, args),
    element("h3", {}, "Output"), chips([...(api.stream ? ["stream of"] : []), ...typeWords(api.output)]),
    element("p", { class: "soft" }, `Takes ${api.accepts.join(", ")} · gives ${api.returns.join(", ")} · `
      + `up to ${size(api.max_body_bytes)} · answers within ${api.timeout_s} s`),
    element("h3", {}, "Try it"), trial(api, args));
}

function inputTable(api, args) {
  const names = Object.keys(api.inputs);
  if (!names.length) return element("p", { class: "soft" }, "None.");
  const described = names.some((name) => args[name]);
  return element("div", { class: "scroll" }, element("table", {},
    element("thead", {}, element("tr", {},
      ["Name", "Type", "Default", ...(described ? ["Meaning"] : [])].map((title) => element("th", { scope: "col" }, title)))),
    element("tbody", {}, names.map((name) => element("tr", {},
      element("th", { scope: "row" }, name),
      element("td", {}, chips(typeWords(api.inputs[name]))),
      element("td", {}, Object.hasOwn(api.defaults || {}, name)
        ? element("code", {}, JSON.stringify(api.defaults[name])) : element("span", { class: "soft" }, "required")),
      described ? element("td", {}, args[name] || "") : null)))));
}

function trial(api, args) {
  const form = new Form(api, args);
  const result = new Result();
  const curl = element("pre", { tabindex: "0", "aria-label": "curl command" });
  const url = address(api.route);
  const send = element("button", { type: "submit", class: "send" }, "Send");
  const copy = element("button", { type: "button", class: "small", onclick: () => copyText(curl.textContent, copy) }, "Copy");

  function refresh() {
    const request = form.request(url);
    if (request) curl.textContent = request.curl;
    return request;
  }

  const made = element("form", { novalidate: true, onchange: refresh },
    form.element, element("div", { class: "actions" }, send));
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    const request = refresh();
    if (!request) return;
    send.disabled = true;
    await result.call(url, request);
    send.disabled = false;
  });
  curl.textContent = preview(form, api, url);
  return element("div", {}, made, result.element,
    element("h3", { class: "label" }, "From a terminal", copy), curl);
}

// Before anything is typed: what the prefilled fields would send, without marking the empty ones as wrong.
function preview(form, api, url) {
  const request = form.request(url);
  for (const field of form.fields) if (field.invalid) field.complain("");
  if (document.activeElement !== document.body) document.activeElement.blur();
  return request ? request.curl : `${curlTo(url)}${form.fields.filter((field) => field.isFile)
    .map((field) => ` \\\n  -F '${field.name}=@file'`).join("")}`;
}

async function copyText(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.closest("div").querySelector("pre[aria-label]"));
    button.textContent = "Press Ctrl+C";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

function size(bytes) {
  return bytes >= 1048576 ? `${Math.floor(bytes / 1048576)} MiB` : `${bytes} bytes`;
}

showReadiness();
load("pages/service.json").then(show).catch((error) => fail(main, error));
