// The reference: the OpenAPI document, and the problems that any route may answer.

import { compact, element, fail, schemaWords, showReadiness } from "./element.js";
import { load } from "./token.js";

const main = document.getElementById("main");

function show(document_, service) {
  document.title = `${service.title} · reference`;
  document.getElementById("title").textContent = service.title;
  const operations = Object.entries(document_.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })));
  const schemas = Object.entries(document_.components?.schemas || {});
  document.getElementById("side").append(
    element("p", {}, "Routes"),
    ...operations.map(({ path, operation }) => element("a", { href: `#route-${operation.operationId}` }, path)),
    element("p", {}, "Schemas"),
    ...schemas.map(([name]) => element("a", { href: `#schema-${name}` }, name)),
    element("p", {}, "Problems"), element("a", { href: "#problems" }, "Problems"));
  main.append(
    element("h1", {}, `${document_.info.title} reference`),
    element("p", { class: "soft" }, `OpenAPI ${document_.openapi} · version ${document_.info.version} · `,
      element("a", { href: "schema" }, "JSON"), " · ", element("a", { href: "schema.yaml" }, "YAML")),
    element("p", { class: "doc" }, document_.info.description || ""),
    ...operations.map(operationCard),
    ...(schemas.length ? [schemasCard(schemas)] : []),
    problemsCard(service.problems));
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

function operationCard({ path, method, operation }) {
  const body = operation.requestBody?.content || {};
  return element("section", { class: "card", id: `route-${operation.operationId}`, "aria-label": path },
    element("header", {}, element("span", { class: "verb" }, method.toUpperCase()), element("h2", { class: "route" }, path)),
    element("p", { class: "doc" }, operation.description || operation.summary || ""),
    parameters(operation.parameters || []),
    Object.keys(body).length ? element("h3", {}, "Request body") : null,
    ...Object.entries(body).map(content),
    element("h3", {}, "Answers"),
    ...Object.entries(operation.responses).map(response));
}

function parameters(list) {
  if (!list.length) return null;
  return element("div", {}, element("h3", {}, "Query"), table(["Name", "Type", "Meaning"],
    list.map((each) => [each.name, schemaWords(each.schema || {}, {}), each.description || (each.required ? "required" : "optional")])));
}

function content([mediaType, media], index) {
  return element("details", { open: index === 0 && mediaType.endsWith("json") },
    element("summary", {}, element("code", {}, mediaType)), schemaView(media.schema || {}),
    media.example === undefined ? null : element("div", {}, element("h3", {}, "Example"),
      element("pre", { tabindex: "0" }, compact(media.example))));
}

function response([status, answer]) {
  const kinds = Object.entries(answer.content || {});
  return element("details", { open: status.startsWith("2") },
    element("summary", {}, element("span", { class: `code ${status.startsWith("2") ? "good" : "bad"}` }, status), " ", answer.description),
    ...(status.startsWith("2") ? kinds.map((kind) => content(kind, 0))
      : kinds.map(([mediaType, media]) => element("p", {}, element("code", {}, mediaType), " ", reference(media.schema || {})))));
}

function reference(schema) {
  const words = schemaWords(schema, {});
  return schema.$ref ? element("a", { href: `#schema-${words}` }, words) : element("span", { class: "mono" }, words);
}

function schemaView(schema) {
  if (schema.$ref) return element("p", {}, reference(schema));
  if (!schema.properties) {
    return element("p", {}, element("span", { class: "mono" }, schemaWords(schema, {})),
      schema.description ? ` · ${schema.description}` : "");
  }
  return table(["Name", "Type", "Meaning"], Object.entries(schema.properties).map(([name, each]) => [
    name + ((schema.required || []).includes(name) ? "" : " ?"),
    linked(each),
    [each.description, "default" in each ? `default ${JSON.stringify(each.default)}` : ""].filter(Boolean).join(" · "),
  ]));
}

function linked(schema) {
  if (schema.$ref) return reference(schema);
  if (schema.items?.$ref) return element("span", {}, "list of ", reference(schema.items));
  return element("span", { class: "mono" }, schemaWords(schema, {}));
}

function schemasCard(schemas) {
  return element("section", { class: "card", "aria-label": "Schemas" }, element("header", {}, element("h2", {}, "Schemas")),
    ...schemas.map(([name, schema]) => element("div", { id: `schema-${name}` },
      element("h3", {}, name), schema.description ? element("p", { class: "doc" }, schema.description) : null,
      schema.enum ? chipsOf(schema) : schemaView(schema))));
}

function chipsOf(schema) {
  return element("p", { class: "mono" }, schemaWords(schema, {}));
}

function problemsCard(problems) {
  return element("section", { class: "card", id: "problems", "aria-label": "Problems" },
    element("header", {}, element("h2", {}, "Problems")),
    element("p", {}, "Errors are application/problem+json (RFC 9457): ", element("code", {}, "type"),
      " is one of these, ", element("code", {}, "detail"), " says what and how to mend it, ", element("code", {}, "path"),
      " where in the input, and ", element("code", {}, "request_id"), " finds it in the server's log."),
    element("div", { class: "scroll" }, element("table", {},
      element("thead", {}, element("tr", {}, ["Status", "Title", "Type"].map((title) => element("th", { scope: "col" }, title)))),
      element("tbody", {}, problems.map((each) => element("tr", { id: `problem-${each.id}` },
        element("th", { scope: "row" }, String(each.status)), element("td", {}, each.title),
        element("td", {}, element("code", {}, `/docs#problem-${each.id}`))))))));
}

function table(titles, rows) {
  return element("div", { class: "scroll" }, element("table", {},
    element("thead", {}, element("tr", {}, titles.map((title) => element("th", { scope: "col" }, title)))),
    element("tbody", {}, rows.map(([name, ...cells]) => element("tr", {},
      element("th", { scope: "row" }, name), cells.map((cell) => element("td", {}, cell)))))));
}

showReadiness();
Promise.all([load("schema"), load("pages/service.json")]).then(([schema, service]) => show(schema, service))
  .catch((error) => fail(main, error));
