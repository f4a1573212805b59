"use strict";
// Draws the page from /openapi.json. Everything that comes from elsewhere is set as text, never as markup. The token
// lives in the page's memory only.

const byId = (id) => document.getElementById(id);

function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  Object.assign(node, props);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

let api = null;

function resolve(schema) {
  if (!schema || !schema.$ref) return schema || {};
  return schema.$ref.slice(2).split("/").reduce((at, key) => at[key], api);
}

function nameOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.type === "array") return `list of ${nameOf(schema.items)}`;
  if (schema.type === "object" && schema.additionalProperties) return `map of ${nameOf(schema.additionalProperties)}`;
  return schema.format ? `${schema.type} (${schema.format})` : schema.type || "any";
}

/** The message that a schema, list or map is made of; null: none. */
function inner(schema) {
  if (!schema) return null;
  if (schema.$ref) return resolve(schema);
  if (schema.properties) return schema;
  if (schema.type === "array") return inner(schema.items);
  if (schema.type === "object" && typeof schema.additionalProperties === "object") return inner(schema.additionalProperties);
  return null;
}

function schemaTree(schema, seen = []) {
  const message = inner(schema);
  if (!message || !message.properties || seen.includes(message)) return null;
  const list = make("ul", { className: "schema" });
  for (const [name, property] of Object.entries(message.properties)) {
    const item = make("li", {}, make("code", { textContent: name }), ` ${nameOf(property)} `,
      make("span", { className: "quiet", textContent: property.description || "" }));
    if (property.enum) item.append(` ${property.enum.join(" | ")}`);
    if (inner(property)) {
      const more = make("details", {}, make("summary", { className: "quiet", textContent: "fields" }));
      more.addEventListener("toggle", () => {
        if (more.children.length === 1) more.append(schemaTree(property, [...seen, message]) || "");
      }, { once: true });
      item.append(more);
    }
    list.append(item);
  }
  return list;
}

function sample(schema, depth = 0) {
  const it = resolve(schema);
  if (it.type === "array") return depth > 1 ? [] : [sample(it.items, depth + 1)];
  if (it.type === "object" && it.properties) {
    if (depth > 1) return {};
    return Object.fromEntries(Object.entries(it.properties).map(([name, one]) => [name, sample(one, depth + 1)]));
  }
  if (it.type === "object") return {};
  if (it.type === "integer" || it.type === "number") return 0;
  if (it.type === "boolean") return false;
  if (it.enum) return it.enum[0];
  if (it.format === "date-time") return new Date(Date.now() + 86400000).toISOString();
  if (it.examples) return it.examples[0];
  return "";
}

function jsonOf(content) {
  return content && content["application/json"] ? content["application/json"].schema : null;
}

function parameterRows(operation) {
  const inputs = [];
  const body = make("tbody");
  for (const parameter of operation.parameters) {
    const input = make("input", { placeholder: parameter.in, ariaLabel: parameter.name });
    inputs.push([parameter, input]);
    body.append(make("tr", {},
      make("td", {}, make("code", { textContent: parameter.name }), parameter.required ? " *" : ""),
      make("td", { textContent: nameOf(parameter.schema) }),
      make("td", { className: "quiet", textContent: parameter.description }),
      make("td", {}, input)));
  }
  const heads = ["Parameter", "Type", "Meaning", "Value"].map((text) => make("th", { textContent: text }));
  const table = inputs.length ? make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body) : null;
  return [table, inputs];
}

function address(path, inputs) {
  const query = new URLSearchParams();
  for (const [parameter, input] of inputs) {
    if (parameter.in === "path") {
      path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    } else if (input.value !== "") {
      const values = parameter.schema.type === "array" ? input.value.split(",") : [input.value];
      values.forEach((value) => query.append(parameter.name, value));
    }
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

async function send(verb, url, body) {
  const headers = {};
  const token = byId("token").value.trim();
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(url, { method: verb.toUpperCase(), headers, body, credentials: "omit", cache: "no-store" });
  const text = await response.text();
  try {
    return [response, JSON.stringify(JSON.parse(text), null, 2)];
  } catch {
    return [response, text];
  }
}

function tryIt(verb, path, inputs, editor) {
  const button = make("button", { type: "button", textContent: "Send" });
  const result = make("pre", { hidden: true });
  button.addEventListener("click", async () => {
    button.disabled = true;
    result.hidden = false;
    try {
      const [response, text] = await send(verb, address(path, inputs), editor ? editor.value : undefined);
      result.textContent = `${response.status} ${response.statusText}\nx-request-id: ${response.headers.get("x-request-id")}\n\n${text}`;
    } catch (failure) {
      result.textContent = String(failure);
    }
    button.disabled = false;
  });
  return make("div", {}, make("p", {}, button), result);
}

function fill(place, verb, path, operation) {
  place.append(...operation.description.split("\n\n").map((text) => make("p", { textContent: text })));
  const [table, inputs] = parameterRows(operation);
  if (table) place.append(table);
  let editor = null;
  const bodySchema = operation.requestBody ? jsonOf(operation.requestBody.content) : null;
  if (bodySchema) {
    editor = make("textarea", { spellcheck: false, ariaLabel: "Body" });
    const show = make("button", { type: "button", textContent: "All fields" });
    editor.value = "{}";
    show.addEventListener("click", () => { editor.value = JSON.stringify(sample(bodySchema), null, 2); });
    place.append(make("h4", { textContent: `Body: ${nameOf(bodySchema)}` }), schemaTree(bodySchema) || "", make("p", {}, show), editor);
  }
  const answer = jsonOf(operation.responses["200"].content);
  place.append(make("h4", { textContent: `Answer: ${nameOf(answer)}` }), schemaTree(answer) || "", tryIt(verb, path, inputs, editor));
}

function card(verb, path, operation) {
  const place = make("div");
  const node = make("details", { className: "operation" },
    make("summary", {}, make("span", { className: `verb ${verb}`, textContent: verb.toUpperCase() }),
      make("span", { className: "path", textContent: path }), make("span", { className: "quiet", textContent: operation.summary })),
    place);
  node.dataset.text = `${verb} ${path} ${operation.summary} ${operation.operationId}`.toLowerCase();
  node.addEventListener("toggle", () => {
    if (node.open && !place.children.length) fill(place, verb, path, operation);
  });
  return node;
}

function draw() {
  byId("title").textContent = `${api.info.title} ${api.info.version}`;
  byId("about").textContent = api.info.description;
  for (const tag of api.tags) {
    const section = make("section", { id: `tag-${tag.name}` }, make("h2", { textContent: tag.name }),
      make("p", { className: "quiet", textContent: tag.description }));
    for (const [path, item] of Object.entries(api.paths)) {
      for (const [verb, operation] of Object.entries(item)) {
        if (operation.tags.includes(tag.name)) section.append(card(verb, path, operation));
      }
    }
    byId("operations").append(section);
    byId("tags").append(make("a", { href: `#tag-${tag.name}`, textContent: tag.name }));
  }
}

byId("search").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const node of document.querySelectorAll("details.operation")) {
    node.hidden = !words.every((word) => node.dataset.text.includes(word));
  }
});

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ username: byId("username").value, password: byId("password").value });
  byId("token").value = "";
  const [response, text] = await send("post", "/api/v2/auth/admin/login", body);
  const answer = JSON.parse(text);
  byId("password").value = "";
  if (response.ok) byId("token").value = answer.access_token;
  byId("login-result").textContent = response.ok ? `Logged in as ${answer.me.username} (${answer.me.role})` : answer.error.message;
});

fetch("/openapi.json").then((response) => response.json()).then((document) => {
  api = document;
  draw();
}).catch((failure) => { byId("about").textContent = String(failure); });
