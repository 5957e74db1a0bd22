"use strict";
// All that is shown comes from /status.json and is written by textContent, never as HTML.

const EVERY = 2000;
const SIGNALS = ["traces", "metrics", "logs", "profiles"];
let before = null;

const by = (id) => document.getElementById(id);
const numbers = new Intl.NumberFormat("en-US");
const count = (value) => numbers.format(Math.round(value));

function element(tag, text, kind) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = String(text);
  if (kind) made.className = kind;
  return made;
}

/** A cell: text, or [text, class, key], where the key says which number it is. */
function cell(tag, content) {
  const [text, kind, key] = Array.isArray(content) ? content : [content];
  const made = element(tag, text, kind);
  if (key) made.dataset.key = key;
  return made;
}

function table(heads, rows) {
  const made = element("table");
  const row = (tag, cells) => {
    const line = element("tr");
    cells.forEach((content) => line.append(cell(tag, content)));
    return line;
  };
  const head = element("thead");
  head.append(row("th", heads));
  const body = element("tbody");
  rows.forEach((cells) => body.append(row("td", cells)));
  made.append(...(heads.length ? [head, body] : [body]));
  return made;
}

function card(title, small, ...parts) {
  const made = element("div", null, "card");
  if (title) {
    const head = element("h3", title);
    if (small) head.append(element("small", small));
    made.append(head);
  }
  made.append(...parts);
  return made;
}

function show(id, parts, none) {
  by(id).replaceChildren(...(parts.length ? parts : [element("p", none, "muted")]));
}

/** The series of a family whose labels are these among others. */
function series(instance, name, labels) {
  const family = instance.counters.find((known) => known.name === name);
  if (!family) return [];
  return family.series.filter(([values]) =>
    Object.entries(labels || {}).every(([key, value]) => values[family.labels.indexOf(key)] === value));
}

const sum = (instance, name, labels) =>
  series(instance, name, labels).reduce((all, [, value]) => all + value, 0);

/** "3 paused, 1 malformed": what is not zero, by a label. */
function split(instance, name, label, labels) {
  const family = instance.counters.find((known) => known.name === name);
  const at = family ? family.labels.indexOf(label) : -1;
  return series(instance, name, labels).filter(([, value]) => value > 0)
    .map(([values, value]) => `${count(value)} ${values[at]}`).join(", ");
}

function ago(seconds) {
  const units = [[86400, "d"], [3600, "h"], [60, "min"]];
  const [size, unit] = units.find(([size]) => seconds >= size) || [1, "s"];
  return `${Math.floor(seconds / size)} ${unit}`;
}

const clock = (time) => new Date(time * 1000).toLocaleTimeString("en-GB");

function duration(seconds) {
  if (seconds === null) return "\u2013";
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toPrecision(3)} s`;
}

function rate(name, counter, labels, now) {
  const old = before && before.instances.find((known) => known.name === name);
  const seconds = before ? now.time - before.time : 0;
  if (!old || seconds <= 0) return "";
  const instance = now.instances.find((known) => known.name === name);
  return `${count(Math.max(0, sum(instance, counter, labels) - sum(old, counter, labels)) / seconds)}/s`;
}

function receiver(instance, now) {
  const name = instance.name;
  const rows = SIGNALS.filter((signal) => signal !== "profiles" || sum(instance, "received_items_total", { signal }))
    .map((signal) => {
      const number = (counter) =>
        [count(sum(instance, counter, { signal })), "number", `${name}/${counter}/${signal}`];
      const why = ["rejected_items_total", "refused_items_total"]
        .map((counter) => split(instance, counter, "reason", { signal })).filter(Boolean).join(", ");
      return [signal, number("received_items_total"), [rate(name, "received_items_total", { signal }, now), "number"],
        number("accepted_items_total"), number("rejected_items_total"), number("refused_items_total"), [why, "parts"]];
    });
  const refused = split(instance, "refused_requests_total", "reason");
  const line = [
    `${count(sum(instance, "received_requests_total"))} requests`,
    refused ? `refused requests: ${refused}` : "no request refused",
    `${count(sum(instance, "connections"))} connections`,
    `${count(sum(instance, "queue_bytes"))} bytes queued`,
  ];
  const heads = ["items", ["received", "number"], ["now", "number"], ["accepted", "number"],
    ["not valid", "number"], ["refused", "number"], "why"];
  return card(name, instance.plugin, table(heads, rows), element("p", line.join(" \u00b7 "), "muted"));
}

/** Every counter of an instance that is not zero, with what it means. */
function counters(instance) {
  const rows = [];
  for (const family of instance.counters) {
    const told = family.series.filter(([, value]) => value > 0);
    if (!told.length || family.name === "build_info") continue;
    const total = told.reduce((all, [, value]) => all + value, 0);
    const parts = family.labels.length
      ? told.map(([labels, value]) => `${count(value)} ${labels.join(" ")}`).join(", ") : "";
    rows.push([[family.help], [count(total), "number", `${instance.name}/${family.name}`], [parts, "parts"],
      [family.name, "help name"]]);
  }
  const body = rows.length
    ? table(["", ["so far", "number"], "of which", "counter"], rows) : element("p", "nothing yet", "muted");
  if (rows.length) body.className = "counters";
  return card(instance.name, instance.plugin, body);
}

function endpoints(now) {
  const rows = now.endpoints.map((row) => {
    const instance = now.instances.find((known) => known.name === row.instance);
    const labels = { endpoint: row.endpoint };
    const key = (what) => `${row.instance}/${row.endpoint}/${what}`;
    const state = row.failing_since === null
      ? ["up", "good nowrap", key("state")]
      : [`failing since ${clock(row.failing_since)} (${ago(now.time - row.failing_since)})`, "bad", key("state")];
    const failed = split(instance, "failed_requests_total", "reason", labels);
    const dropped = split(instance, "dropped_items_total", "reason", labels);
    const sent = split(instance, "sent_items_total", "signal", labels);
    const why = [failed && `failed requests: ${failed}`, dropped && `dropped: ${dropped}`, sent && `sent: ${sent}`];
    const number = (value, what) => [value === null ? "\u2013" : count(value), "number", key(what)];
    return [[row.group ? `${row.endpoint} (in ${row.group})` : row.endpoint, "name"], state, number(row.sent, "sent"),
      number(row.waiting, "waiting"), number(row.in_flight, "in_flight"), number(row.dropped, "dropped"),
      [duration(row.latency), "number nowrap"], [why.filter(Boolean).join(" \u00b7 "), "parts"]];
  });
  const heads = ["endpoint", "", ["sent", "number"], ["waiting", "number"], ["requests under way", "number"],
    ["dropped", "number"], ["mean answer", "number"], ""];
  return rows.length ? [card(null, null, table(heads, rows))] : [];
}

function models(now) {
  // A row stays empty whose events turned out to be told of by spans of another name.
  const used = now.models.filter((row) => row.requests || row.input_tokens || row.output_tokens);
  const rows = used.map((row) => {
    const key = (what) => `${row.instance}/${row.provider}/${row.model}/${what}`;
    const number = (value, what) => [count(value), "number", key(what)];
    return [[row.model || "(no name)", "name", key("model")], [row.provider, "name"], number(row.requests, "requests"),
      [count(row.errors), row.errors ? "number bad" : "number", key("errors")],
      number(row.input_tokens, "input_tokens"), number(row.output_tokens, "output_tokens"),
      [row.cost_usd ? `$${row.cost_usd.toFixed(row.cost_usd < 1 ? 4 : 2)}` : "\u2013", "number"],
      [duration(row.p50), "number", key("p50")], [duration(row.p99), "number", key("p99")]];
  });
  const heads = ["model", "provider", ["requests", "number"], ["errors", "number"], ["input tokens", "number"],
    ["output tokens", "number"], ["cost", "number"], ["p50", "number"], ["p99", "number"]];
  return rows.length
    ? [card(null, null, table(heads, rows), element("p", "p50 and p99 of the last 5 to 10 minutes", "muted"))] : [];
}

const lines = (rows) => (rows.length ? [card(null, null, table([], rows))] : []);

function render(now) {
  const kind = now.ready ? "good" : now.state === "stuck" ? "bad" : "warn";
  by("state").textContent = now.state;
  by("state").className = `badge ${kind}`;
  by("about").textContent = `${now.version} in Fluent Bit ${now.host_release} \u00b7 up ${ago(now.time - now.started)}` +
    ` \u00b7 ${clock(now.time)}`;
  const inputs = now.instances.filter((one) => one.kind === "input");
  show("inputs", inputs.map((one) => (one.plugin === "ai_otlp" ? receiver(one, now) : counters(one))), "no input");
  show("endpoints", endpoints(now), "no endpoint");
  show("models", models(now), "no call of a model was measured; the filter ai_metrics measures them");
  const found = now.findings.map((row) => [[clock(row.time), "nowrap muted"], [row.type, "warn nowrap"],
    [[row.says, ...row.subject].join(" \u00b7 "), "name"]]);
  show("findings", lines(found), "nothing was found; the checks of ai_metrics are options of it");
  const errors = now.errors.map((row) => [[clock(row.time), "nowrap muted"],
    [row.level, row.level === "error" ? "bad" : "warn"], [row.instance, "nowrap"], [row.text, "name"]]);
  show("errors", lines(errors), "none");
  const others = now.instances.filter((one) => one.kind !== "input");
  show("filters", others.filter((one) => one.kind === "filter").map(counters), "no filter");
  before = now;
}

async function refresh() {
  try {
    const answer = await fetch("/status.json", { cache: "no-store" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    render(await answer.json());
  } catch (problem) {
    by("state").textContent = "no answer";
    by("state").className = "badge bad";
  }
}

refresh();
setInterval(() => { if (!document.hidden) refresh(); }, EVERY);
