// Keeps the server cards true to the hub, through the same REST API scripts use.

import { sayTimes } from "./time.js";

const QUIET_MS = 15_000;
const BUSY_MS = 2_000;
const LABELS = { stopped: "Stopped", starting: "Starting", ready: "Running", stopping: "Stopping" };

const root = document.querySelector("[data-servers]");
const api = `${root.dataset.hubPrefix}api/users/${encodeURIComponent(root.dataset.user)}`;
const cards = [...root.querySelectorAll("[data-server]")];
let timer;

function stateOf(server) {
  if (!server) return "stopped";
  if (server.pending === "stop") return "stopping";
  if (server.ready) return "ready";
  return server.pending ? "starting" : "stopped";
}

function setTime(card, field, iso) {
  const time = card.querySelector(`[data-field="${field}"]`);
  if (!iso) return;
  time.dateTime = iso;
  if (field === "last_activity") time.parentElement.hidden = false;
}

// A time of day: how long there is left matters less than when to be back.
function setEnd(card, iso) {
  const time = card.querySelector('[data-field="stops_at"]');
  if (!time) return;
  time.closest("p").hidden = !iso;
  if (iso) time.textContent = new Date(iso).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

function show(card, server) {
  const before = card.dataset.state;
  const state = stateOf(server);
  setTime(card, "started", server?.started);
  setTime(card, "last_activity", server?.last_activity);
  setEnd(card, server?.stops_at);
  // Absent from a template of the operator's that was made before it.
  card.querySelector('[data-field="health"]')?.toggleAttribute("hidden", server?.health !== "unhealthy");
  const halted = ["paused", "restarting"].includes(server?.health);
  card.querySelector('[data-field="halted"]')?.toggleAttribute("hidden", !halted);
  if (state === before) return;
  // Only the page knows why a server ended.
  if (state === "stopped") {
    window.location.reload();
    return;
  }
  const hadFocus = card.querySelector(".actions").contains(document.activeElement);
  card.dataset.state = state;
  card.querySelector('[data-field="state"]').textContent = LABELS[state];
  for (const part of card.querySelectorAll("[data-when]")) {
    part.hidden = !part.dataset.when.split(" ").includes(state);
  }
  if (hadFocus) card.querySelector(".actions > :not([hidden])")?.closest("a, form")?.querySelector("button")?.focus();
}

async function poll() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const response = await fetch(api, {
      headers: { Accept: "application/json", "X-XSRFToken": root.dataset.xsrf },
      cache: "no-store",
    });
    // A refusal will not turn into an answer: the session has ended. The next click says so.
    if (response.status >= 400 && response.status < 500) return;
    if (response.ok) {
      const { servers = {} } = await response.json();
      for (const card of cards) show(card, servers[card.dataset.server]);
    }
  } catch {
    // The hub may be restarting; the next round asks again.
  }
  sayTimes(root);
  const busy = cards.some((card) => ["starting", "stopping"].includes(card.dataset.state));
  timer = setTimeout(poll, busy ? BUSY_MS : QUIET_MS);
}

for (const card of cards) setEnd(card, card.querySelector('[data-field="stops_at"]')?.dataset.at);
sayTimes(root);
document.addEventListener("visibilitychange", poll);
// A page taken from the back-forward cache shows the past.
window.addEventListener("pageshow", poll);
