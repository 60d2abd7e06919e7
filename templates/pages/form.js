// The form of one route: a field per parameter, by its type.

import { compact, element, longInteger, typeWords } from "./element.js";
import { curlTo } from "./token.js";

const FILES = new Set(["image", "file", "bytes"]);

export class Form {
  constructor(api, descriptions) {
    this.api = api;
    this.fields = Object.entries(api.inputs).map(([name, spec]) => {
      const has = Object.hasOwn(api.defaults || {}, name);
      const start = has ? api.defaults[name] : (api.example || {})[name];
      return makeField(`field-${api.name}-${name}`, name, spec, { start, optional: has, note: descriptions[name] });
    });
  }

  get element() {
    return element("div", {}, this.fields.length
      ? this.fields.map((field) => field.element)
      : element("p", { class: "soft" }, "This route takes no input."));
  }

  // { body, headers, curl }; null when a field cannot be read, which is then marked.
  request(url) {
    const values = this.fields.map((field) => [field, field.read()]);
    if (values.some(([field]) => field.invalid)) {
      values.find(([field]) => field.invalid)[0].control.focus();
      return null;
    }
    const given = values.filter(([, value]) => value !== undefined);
    return given.some(([field]) => field.isFile) ? multipart(url, given) : json(url, given);
  }
}

function json(url, given) {
  const body = `{${given.map(([field, value]) => `${JSON.stringify(field.name)}:${field.json(value)}`).join(",")}}`;
  const headers = { "content-type": "application/json" };
  return { body, headers, curl: `${curlTo(url)} \\\n  -H 'content-type: application/json' \\\n  -d ${quoted(body)}` };
}

function multipart(url, given) {
  const body = new FormData();
  const parts = [];
  for (const [field, value] of given) {
    if (field.isFile) {
      for (const file of value) {
        body.append(field.name, file, file.name);
        parts.push(quoted(`${field.name}=@${file.name}`));
      }
    } else {
      const text = field.json(value);
      body.append(field.name, new Blob([text], { type: "application/json" }));
      parts.push(quoted(`${field.name}=${text};type=application/json`));
    }
  }
  return { body, headers: {}, curl: `${curlTo(url)}${parts.map((part) => ` \\\n  -F ${part}`).join("")}` };
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function isFileList(schema) {
  const items = schema.type === "array" ? schema.items || {} : {};
  return items.contentEncoding === "base64" || items.properties?.data?.contentEncoding === "base64";
}

function makeField(id, name, spec, options) {
  const schema = spec.json_schema || {};
  const nullable = (schema.anyOf || []).some((each) => each.type === "null");
  const plain = nullable ? { ...schema, ...(schema.anyOf.find((each) => each.type !== "null") || {}) } : schema;
  const setting = { ...options, nullable };
  if (FILES.has(spec.kind)) return new FileField(id, name, spec, setting, false);
  if (isFileList(schema)) return new FileField(id, name, spec, setting, true);
  if (plain.enum) return new ChoiceField(id, name, spec, setting, plain.enum);
  if (spec.kind === "boolean") return new CheckField(id, name, spec, setting);
  if (spec.kind === "number") return new NumberField(id, name, spec, setting, plain.type === "integer");
  if (spec.kind === "text") return new TextField(id, name, spec, setting);
  return new JsonField(id, name, spec, setting);
}

class Field {
  isFile = false;
  invalid = false;

  constructor(id, name, spec, options) {
    Object.assign(this, { id, name, spec, options });
    this.wrong = element("p", { class: "wrong", id: `${id}-wrong`, hidden: true });
  }

  build(control, ...more) {
    this.control = control;
    control.id = this.id;
    control.setAttribute("aria-describedby", `${this.id}-wrong`);
    const words = typeWords(this.spec).join(" ");
    const label = element("label", { for: this.id }, this.name, " ",
      element("span", { class: "soft" }, this.options.optional ? `${words}, optional` : words));
    const note = this.options.note ? element("p", { class: "soft" }, this.options.note) : null;
    this.element = element("div", { class: "field" }, label, control, ...more, this.wrong);
    if (note) label.after(note);
  }

  complain(message) {
    this.invalid = Boolean(message);
    this.wrong.hidden = !message;
    this.wrong.textContent = message || "";
    this.control.setAttribute("aria-invalid", String(this.invalid));
  }

  // Text as it was typed where JavaScript's numbers would change it.
  json(value) {
    return longInteger.test(this.control.value) && typeof value !== "string" && value !== null
      ? this.control.value : JSON.stringify(value);
  }

  // The value of an empty field: left out when it may be, null when that is allowed.
  empty() {
    if (this.options.optional) return undefined;
    if (this.options.nullable) return null;
    this.complain("a value is needed");
    return undefined;
  }
}

class TextField extends Field {
  constructor(id, name, spec, options) {
    super(id, name, spec, options);
    this.build(element("textarea", { rows: 2, spellcheck: "false" }));
    this.control.value = options.start ?? "";
  }

  read() {
    this.complain("");
    const text = this.control.value;
    return text === "" && (this.options.optional || this.options.nullable) ? this.empty() : text;
  }
}

class NumberField extends Field {
  constructor(id, name, spec, options, whole) {
    super(id, name, spec, options);
    this.build(element("input", { type: "number", step: whole ? "1" : "any", inputmode: whole ? "numeric" : "decimal" }));
    this.control.value = options.start ?? "";
  }

  read() {
    this.complain("");
    if (this.control.validity.badInput) return this.complain("this is no number");
    return this.control.value === "" ? this.empty() : Number(this.control.value);
  }
}

class CheckField extends Field {
  constructor(id, name, spec, options) {
    super(id, name, spec, options);
    this.build(element("input", { type: "checkbox" }));
    this.control.checked = Boolean(options.start);
  }

  read() {
    return this.control.checked;
  }
}

class ChoiceField extends Field {
  constructor(id, name, spec, options, values) {
    super(id, name, spec, options);
    this.values = options.nullable ? [null, ...values] : values;
    this.build(element("select", {}, this.values.map((value, index) => element("option", {
      value: index, selected: value === options.start,
    }, value === null ? "(none)" : String(value)))));
  }

  read() {
    return this.values[Number(this.control.value)];
  }
}

class JsonField extends Field {
  constructor(id, name, spec, options) {
    super(id, name, spec, options);
    const text = options.start === undefined ? "" : compact(options.start);
    this.build(element("textarea", { rows: Math.min(14, Math.max(3, text.split("\n").length)), spellcheck: "false" }));
    this.control.value = text;
  }

  read() {
    this.complain("");
    if (!this.control.value.trim()) return this.empty();
    try {
      return JSON.parse(this.control.value);
    } catch (error) {
      return this.complain(`this is not JSON: ${error.message}`);
    }
  }
}

class FileField extends Field {
  isFile = true;

  constructor(id, name, spec, options, several) {
    super(id, name, spec, options);
    const accept = spec.kind === "image" || spec.json_schema?.items?.contentMediaType === "image/*" ? "image/*" : null;
    this.preview = element("div", { class: "preview" });
    this.build(element("input", { type: "file", accept, multiple: several, onchange: () => this.show() }), this.preview);
  }

  show() {
    this.preview.replaceChildren(...[...this.control.files].map((file) => {
      if (!file.type.startsWith("image/")) return element("span", { class: "chip" }, `${file.name}, ${file.size} bytes`);
      const image = element("img", { alt: `preview of ${file.name}`, src: URL.createObjectURL(file) });
      image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
      return image;
    }));
  }

  read() {
    this.complain("");
    if (this.control.files.length) return [...this.control.files];
    return this.options.optional ? undefined : this.complain("choose a file");
  }
}
