// The caller's token, for servers that ask for one. It stays in this tab and is only ever sent as a header.

import { element } from "./element.js";

const root = new URL("..", import.meta.url);
const KEY = `tiffin token ${root.pathname}`;
const GUARDED = new Set(["schema", "schema.yaml", "metrics"].map((path) => new URL(path, root).href));
let asking = null;

function token() {
  return sessionStorage.getItem(KEY) || "";
}

export function withToken(headers = {}) {
  return token() ? { ...headers, authorization: `Bearer ${token()}` } : headers;
}

// The beginning of a curl command: whoever copies it has the token in a variable of the shell, not in the history.
export function curlTo(url) {
  return token() ? `curl ${url} \\\n  -H "authorization: Bearer $TOKEN"` : `curl ${url}`;
}

// Asks the person until the server takes the token.
export async function fetchWithToken(url, headers = {}) {
  for (;;) {
    const answer = await fetch(url, { headers: withToken(headers) });
    if (!refused(answer)) return answer;
    await askFor(answer);
  }
}

export async function load(path) {
  const answer = await fetchWithToken(new URL(path, root), { accept: "application/json" });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}

export function refused(answer) {
  return (answer.status === 401 || answer.status === 403) && answer.headers.has("www-authenticate");
}

// Shows the field, once for all who wait for it; done when a token was given.
export function askFor(answer) {
  asking ??= show(answer).finally(() => { asking = null; });
  return asking;
}

async function show(answer) {
  const problem = await answer.clone().json().catch(() => ({}));
  const field = element("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false", required: true });
  const form = element("form", { class: "card", "aria-labelledby": "token-title" },
    element("h2", { id: "token-title" }, "This server asks for a token"),
    token() ? element("p", { class: "wrong", role: "alert" }, problem.detail || "The token was refused.") : null,
    element("p", { class: "soft" }, "It stays in this tab until the tab is closed."),
    element("div", { class: "field" }, element("label", { for: "token" }, "Token"), field),
    element("div", { class: "actions" }, element("button", { type: "submit", class: "send" }, "Use it")));
  document.getElementById("main").prepend(form);
  field.focus();
  return new Promise((resolve) => form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!field.value.trim()) return;
    sessionStorage.setItem(KEY, field.value.trim());
    form.remove();
    offerToForget();
    resolve();
  }));
}

function offerToForget() {
  if (!token() || document.getElementById("forget")) return;
  document.getElementById("ready").before(element("button", {
    id: "forget", type: "button", class: "small",
    onclick: () => { sessionStorage.removeItem(KEY); location.reload(); },
  }, "Forget the token"));
}

// A link cannot send a header: what it leads to is fetched, and shown in its place.
document.addEventListener("click", async (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || !token() || !GUARDED.has(link.href) || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const answer = await fetchWithToken(link.href, { accept: "*/*" });
  location.assign(URL.createObjectURL(new Blob([await answer.text()], { type: "text/plain; charset=utf-8" })));
});

offerToForget();
