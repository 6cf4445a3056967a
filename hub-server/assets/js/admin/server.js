// What a server model says, in the words of the page.

import { path } from "./api.js";

export const LABELS = { stopped: "Stopped", starting: "Starting", ready: "Running", stopping: "Stopping" };

export function stateOf(server) {
  if (server.pending === "stop") return "stopping";
  if (server.ready) return "ready";
  return server.pending ? "starting" : "stopped";
}

/** All servers of a user. There is always the default one, though it may never have run. */
export function serversOf(user) {
  const { "": first, ...named } = user.servers ?? {};
  return [first ?? { name: "", pending: null, ready: false, started: null }, ...Object.values(named)];
}

export function serverPath(user, server) {
  return server.name === "" ? `${path("users", user.name)}/server` : path("users", user.name, "servers", server.name);
}

/** The address of a page about a server, below the hub's prefix. */
export function pageOf(hubPrefix, page, user, server) {
  return hubPrefix + (path(page, user.name) + (server.name && path(server.name))).slice(1);
}
