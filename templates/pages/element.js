// Building blocks of all pages. Text only ever gets in as text nodes, so nothing in a docstring or an answer is markup.

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function chips(words) {
  return element("span", { class: "chips" }, words.map((word) => element("span", { class: "chip" }, word)));
}

// Where the server begins: a proxy may serve it below a prefix, and pages lie at several depths.
const root = new URL("..", import.meta.url);

export function address(route) {
  return new URL(`.${route}`, root).href;
}

export function fail(main, error) {
  main.append(element("p", { class: "note bad", role: "alert" }, `This page could not be loaded: ${error.message}`));
}

export async function showReadiness() {
  const badge = document.getElementById("ready");
  try {
    const health = await (await fetch(new URL("healthz", root))).json();
    badge.className = `ready ${health.ready ? "good" : "bad"}`;
    badge.textContent = health.ready ? "ready" : health.reasons.join(", ");
  } catch {
    badge.className = "ready bad";
    badge.textContent = "not reachable";
  }
}

// Google-style docstring: the text before `Args:`, and the text of each argument.
export function readDocstring(doc) {
  const text = [];
  const args = {};
  let section = "";
  let name = "";
  for (const line of doc.split("\n")) {
    const heading = /^(Args|Arguments|Parameters|Returns|Raises|Yields):\s*$/.exec(line);
    const argument = /^\s+\*{0,2}(\w+)(?:\s*\([^)]*\))?:\s*(.*)$/.exec(line);
    if (heading) section = heading[1].startsWith("Arg") || heading[1] === "Parameters" ? "Args" : heading[1];
    else if (section && line.trim() && !/^\s/.test(line)) { section = ""; text.push(line); }
    else if (section === "Args" && argument) { name = argument[1]; args[name] = argument[2]; }
    else if (section === "Args" && name && line.trim()) args[name] += ` ${line.trim()}`;
    else if (section && section !== "Args" && line.trim()) text.push(`${section}: ${line.trim()}`);
    else if (!section) text.push(line);
  }
  return { text: text.join("\n").trim(), args };
}

// `float32 [n, 4]`, `integer`, `one of "rose", "tulip"`: what a person wants to know of a type.
export function typeWords(spec) {
  const schema = spec.json_schema || {};
  const dtype = spec.dtype || (spec.dtypes || []).join(" | ") || (spec.kind === "array" || spec.kind === "tensor" ? "any dtype" : "");
  const words = [];
  if (dtype) {
    words.push(spec.kind, dtype);
    if (spec.shape) words.push(`[${spec.shape.join(", ")}]`);
  } else if (spec.kind === "number" || spec.kind === "json" || spec.kind === "text" || spec.kind === "boolean") {
    words.push(schemaWords(schema, schema.$defs || {}) || spec.kind);
  } else words.push(spec.kind);
  if (spec.columns) words.push(Object.entries(spec.columns).map(([name, kind]) => `${name}: ${kind}`).join(", "));
  if (spec.classes) words.push(`${spec.classes} classes`);
  return words;
}

export function schemaWords(schema, definitions) {
  if (schema === true || schema === undefined) return "anything";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return `one of ${schema.enum.map((value) => JSON.stringify(value)).join(", ")}`;
  if ("const" in schema) return JSON.stringify(schema.const);
  const several = schema.anyOf || schema.oneOf;
  if (several) return several.map((each) => schemaWords(each, definitions)).join(" | ");
  if (schema.contentEncoding === "base64") return "base64 text";
  if (schema.type === "array") {
    if (schema.prefixItems) return `[${schema.prefixItems.map((each) => schemaWords(each, definitions)).join(", ")}]`;
    return `list of ${schemaWords(schema.items, definitions)}`;
  }
  if (schema.type === "object" && schema.additionalProperties && !schema.properties) {
    return `map of ${schemaWords(schema.additionalProperties, definitions)}`;
  }
  if (schema.format) return `${schema.type} (${schema.format})`;
  if (Array.isArray(schema.type)) return schema.type.join(" | ");
  return schema.title || schema.type || "anything";
}

// An integer that may be larger than 2**53: JavaScript would round it.
export const longInteger = /(?<![\d.])[1-9]\d{15,}(?![\d.])/;

// JSON where a list without objects in it stays on one line: a matrix should look like one.
export function compact(value, indent = "") {
  const deeper = `${indent}  `;
  if (Array.isArray(value) && value.some((each) => typeof each === "object" && each !== null)) {
    return `[\n${value.map((each) => deeper + compact(each, deeper)).join(",\n")}\n${indent}]`;
  }
  if (Array.isArray(value)) return `[${value.map((each) => JSON.stringify(each)).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value);
  if (!entries.length) return "{}";
  return `{\n${entries.map(([name, each]) => `${deeper}${JSON.stringify(name)}: ${compact(each, deeper)}`).join(",\n")}\n${indent}}`;
}
