// One user in the list, with their servers.

import { sayTimes } from "../time.js";
import { button, h, moment, redraw } from "./elements.js";
import { LABELS, pageOf, serversOf, stateOf } from "./server.js";

export class UserRow {
  /**
   * `deeds` is what the buttons do: `start`, `stop`, `remove`, `edit`, `delete`, and
   * `addServer` where there may be named ones.
   */
  constructor(deeds, hubPrefix) {
    this.deeds = deeds;
    this.hubPrefix = hubPrefix;
    this.element = h("li", { class: "row user" });
    this.progress = new Map();
    this.error = "";
  }

  /** Shows what the hub says now; nothing is drawn when nothing has changed. */
  update(user) {
    const seen = JSON.stringify(user);
    if (seen !== this.seen) {
      this.seen = seen;
      this.user = user;
      this.draw();
    }
    sayTimes(this.element);
  }

  complain(message) {
    this.error = message;
    this.draw();
  }

  /** An event of a start, without drawing the row anew. */
  tell(server, event) {
    this.progress.set(server, event);
    const line = [...this.element.querySelectorAll("[data-server]")].find((one) => one.dataset.server === server);
    const shown = line?.querySelector(".progress");
    if (shown) shown.replaceWith(progress(event));
  }

  draw() {
    const { user } = this;
    this.element.dataset.user = user.name;
    redraw(
      this.element,
      h(
        "div",
        { class: "row-main" },
        h("h3", { class: "row-title" }, user.name, user.admin && h("span", { class: "tag" }, "admin")),
        h(
          "p",
          { class: "small" },
          user.last_activity ? ["Last active ", moment(user.last_activity)] : "Never active",
          user.groups?.length > 0 && ` · in ${user.groups.join(", ")}`,
        ),
      ),
      h(
        "ul",
        { class: "servers" },
        serversOf(user).map((server) => this.#server(server)),
      ),
      h(
        "div",
        { class: "row-actions" },
        this.deeds.addServer && button("Add server", `for ${user.name}`, () => this.deeds.addServer(this)),
        button("Edit", user.name, () => this.deeds.edit(this)),
        button("Delete", user.name, () => this.deeds.delete(this), { kind: "danger" }),
      ),
      this.error && h("p", { class: "notice bad", role: "alert" }, this.error),
    );
    sayTimes(this.element);
  }

  #server(server) {
    const state = stateOf(server);
    if (state !== "starting") this.progress.delete(server.name);
    const { user } = this;
    const whose = server.name ? `${server.name} of ${user.name}` : `the server of ${user.name}`;
    const act = (label, deed, kind) =>
      button(label, whose, () => this.deeds[deed](this, server), { key: `${deed} ${server.name}`, kind });
    return h(
      "li",
      { data: { server: server.name, state } },
      h(
        "div",
        { class: "server-line" },
        server.name && h("span", { class: "server-name" }, server.display_name || server.name),
        h("span", { class: "state" }, LABELS[state]),
        h(
          "span",
          { class: "server-actions" },
          state === "stopped" && act("Start", "start"),
          state === "ready" && h("a", { class: "button compact", href: server.url, data: { key: `open ${server.name}` } }, "Open", h("span", { class: "sr" }, ` ${whose}`)),
          (state === "ready" || state === "starting") && act("Stop", "stop"),
          state === "stopped" && server.name && act("Remove", "remove", "danger"),
          server.url && h("a", { class: "button compact", href: pageOf(this.hubPrefix, "log", user, server), data: { key: `log ${server.name}` } }, "Log", h("span", { class: "sr" }, ` of ${whose}`)),
        ),
      ),
      state === "starting" && progress(this.progress.get(server.name)),
      state === "ready" && server.warning && h("p", { class: "small warn" }, `${server.warning.message} ${server.warning.hint}`),
      state === "stopped" && server.last_failure && h("p", { class: "small bad" }, `Last run: ${server.last_failure.message}`),
    );
  }
}

function progress(event) {
  const known = typeof event?.percent === "number";
  return h(
    "div",
    { class: "progress" },
    h("progress", { class: "meter", max: 100, value: known ? event.percent : null, "aria-label": "Progress of the start" }),
    h("span", { class: "small" }, event?.message || "Waiting for news of the start"),
  );
}
