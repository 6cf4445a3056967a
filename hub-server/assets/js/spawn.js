// Follows the start of a server and goes there when it is ready.

import { clock } from "./time.js";

const LONGEST_LOG = 200;
const RELOAD_AFTER_MS = 3_000;
const EXPLAIN_TRIES = 8;
const EXPLAIN_AGAIN_MS = 1_000;

const root = document.querySelector("[data-spawn]");
const field = (name) => root.querySelector(`[data-field="${name}"]`);
const meter = root.querySelector("progress");
const log = field("log");
const since = Date.parse(root.dataset.since ?? "") || Date.now();
const seen = new Set();

const address = new URL(root.dataset.progressUrl, window.location.href);
address.searchParams.set("_xsrf", root.dataset.xsrf);
const events = new EventSource(address);

const elapsed = field("elapsed");
elapsed.hidden = false;
const ticking = setInterval(tick, 1000);

function tick() {
  elapsed.textContent = clock(Date.now() - since);
}

function keyOf(percent, message) {
  return `${percent ?? ""} ${message}`;
}

function write(percent, message) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const line = document.createElement("li");
  const number = document.createElement("span");
  number.className = "percent";
  number.textContent = percent === undefined || percent === null ? "" : `${percent} %`;
  const text = document.createElement("span");
  text.textContent = message;
  line.append(number, text);
  log.append(line);
  while (log.children.length > LONGEST_LOG) log.firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function warn(text) {
  const notice = field("connection");
  notice.textContent = text;
  notice.hidden = text === "";
}

/**
 * Fetches this address again: the hub answers with the page that explains the failure,
 * though perhaps only after it has cleared away what was left of the start.
 */
async function explain(tries = EXPLAIN_TRIES) {
  try {
    const response = await fetch(window.location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const main = page.querySelector("main");
    if (!main) return;
    if (main.hasAttribute("data-spawn")) {
      if (tries > 1) setTimeout(() => explain(tries - 1), EXPLAIN_AGAIN_MS);
      return;
    }
    document.title = page.title;
    root.replaceWith(document.adoptNode(main));
    main.querySelector("h1")?.focus();
  } catch {
    // The message is on the page already; the explanation is a bonus.
  }
}

function fail(message) {
  events.close();
  clearInterval(ticking);
  warn("");
  root.dataset.phase = "failed";
  const heading = root.querySelector("h1");
  if (heading) heading.textContent = "The server did not start";
  for (const promise of root.querySelectorAll(".lead")) promise.hidden = true;
  const notice = field("failed");
  notice.textContent = message;
  notice.hidden = false;
  for (const part of root.querySelectorAll("[data-when]")) part.hidden = part.dataset.when !== "failed";
  explain();
}

events.addEventListener("open", () => warn(""));

events.addEventListener("message", ({ data }) => {
  let event;
  try {
    event = JSON.parse(data);
  } catch {
    return;
  }
  const message = String(event.message ?? "");
  if (event.ready) {
    events.close();
    clearInterval(ticking);
    meter.value = 100;
    field("message").textContent = "Ready. Opening it now";
    window.location.replace(root.dataset.readyUrl);
    return;
  }
  if (event.failed) {
    fail(message || "The server did not start");
    return;
  }
  // A new connection is told everything from the start; show each event once.
  const key = keyOf(event.progress, message);
  if (seen.has(key)) return;
  seen.add(key);
  if (typeof event.progress === "number") meter.value = event.progress;
  if (message) {
    field("message").textContent = message;
    write(event.progress, message);
  }
});

events.addEventListener("error", () => {
  if (events.readyState !== EventSource.CLOSED) {
    warn("The connection to the hub was lost. Trying again; the start goes on meanwhile.");
    return;
  }
  // Closed for good: the hub answered, but not with events. Its page knows the state.
  warn("The hub has no progress to report. Looking again in a moment.");
  setTimeout(() => window.location.reload(), RELOAD_AFTER_MS);
});

// The lines the page came with are the first the connection repeats.
for (const line of log.children) {
  const [percent, message] = line.children;
  const number = parseInt(percent.textContent, 10);
  seen.add(keyOf(Number.isNaN(number) ? undefined : number, message.textContent));
}
log.scrollTop = log.scrollHeight;
tick();
