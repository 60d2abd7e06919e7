// Calls a route and shows what comes back.

import { compact, element, longInteger } from "./element.js";
import { askFor, refused, withToken } from "./token.js";

const SHOWN_CHARS = 200_000;

export class Result {
  constructor() {
    this.element = element("div", { class: "result", "aria-live": "polite" });
    this.stopper = null;
  }

  async call(url, request) {
    this.stop();
    const stopper = new AbortController();
    this.stopper = stopper;
    this.element.replaceChildren(element("p", { class: "soft" }, "Waiting for the answer…"));
    const began = performance.now();
    try {
      const answer = await fetch(url, {
        method: "POST", body: request.body, headers: withToken(request.headers), signal: stopper.signal,
      });
      if (refused(answer)) askFor(answer);
      const kind = (answer.headers.get("content-type") || "").split(";")[0];
      const heading = this.heading(answer, kind);
      this.element.replaceChildren(element("h3", {}, "Answer"), heading.element);
      if (kind === "text/event-stream") await this.stream(answer, heading, began);
      else await this.whole(answer, kind, heading, began);
    } catch (error) {
      const message = error.name === "AbortError" ? "Stopped." : `No answer: ${error.message}`;
      this.element.append(element("p", { class: "wrong" }, message));
    }
  }

  stop() {
    if (this.stopper) this.stopper.abort();
    this.stopper = null;
  }

  heading(answer, kind) {
    const time = element("span", {});
    const size = element("span", {});
    const id = answer.headers.get("x-request-id");
    const line = element("div", { class: "status" },
      element("span", { class: `code ${answer.ok ? "good" : "bad"}` }, `${answer.status} ${answer.statusText}`.trim()),
      time, size, element("span", {}, kind), id ? element("span", { class: "mono" }, id) : null);
    return {
      element: line,
      done(began, bytes) {
        time.textContent = `${(performance.now() - began).toFixed(1)} ms`;
        size.textContent = bytes < 10_000 ? `${bytes} bytes` : `${(bytes / 1024).toFixed(0)} KiB`;
      },
    };
  }

  async whole(answer, kind, heading, began) {
    const blob = await answer.blob();
    heading.done(began, blob.size);
    if (kind.startsWith("image/")) {
      const image = element("img", { alt: "the result", src: URL.createObjectURL(blob) });
      image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
      this.element.append(image);
    } else if (kind.endsWith("json")) {
      this.element.append(pretty(await blob.text()));
    } else if (kind.startsWith("text/")) {
      this.element.append(element("pre", {}, (await blob.text()).slice(0, SHOWN_CHARS)));
    } else {
      this.element.append(element("p", {}, element("a", { href: URL.createObjectURL(blob), download: "result" }, "Save the result")));
    }
  }

  async stream(answer, heading, began) {
    const list = element("ol", { class: "events", role: "log", "aria-label": "events" });
    const stop = element("button", { type: "button", class: "small", onclick: () => this.stop() }, "Stop");
    this.element.append(list, element("div", { class: "actions" }, stop));
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let bytes = 0;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        bytes += value.length;
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) list.append(event(block));
        list.scrollTop = list.scrollHeight;
        heading.done(began, bytes);
      }
    } finally {
      stop.remove();
    }
  }
}

function event(block) {
  const lines = block.split("\n");
  const name = lines.find((line) => line.startsWith("event: "))?.slice(7);
  const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
  if (name === "end") return element("li", { class: "soft" }, "— end —");
  if (name === "error") return element("li", { class: "wrong" }, data);
  return element("li", {}, data);
}

function pretty(text) {
  let shown = text;
  try {
    if (!longInteger.test(text)) shown = compact(JSON.parse(text));
  } catch {
    // shown as it came
  }
  const box = element("pre", { tabindex: "0" });
  if (shown.length > SHOWN_CHARS) {
    box.append(`${shown.slice(0, SHOWN_CHARS)}\n… ${shown.length - SHOWN_CHARS} more characters`);
    return box;
  }
  let last = 0;
  for (const match of shown.matchAll(/("(?:\\.|[^"\\])*")(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g)) {
    if (match[2]) continue;
    box.append(shown.slice(last, match.index), element("span", { class: match[1] ? "string" : "number" }, match[0]));
    last = match.index + match[0].length;
  }
  box.append(shown.slice(last));
  return box;
}
