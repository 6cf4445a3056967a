// The users: find them, run their servers, look after their accounts.

import { ApiError } from "./api.js";
import { ask } from "./dialog.js";
import { h } from "./elements.js";
import { Pager } from "./pages.js";
import { each } from "./pool.js";
import { serverPath, serversOf, stateOf } from "./server.js";
import { Starts } from "./starts.js";
import { addServer, addUsers, deleteUser, editUser, removeServer } from "./user_dialogs.js";
import { UserRow } from "./user_row.js";

const LIMIT = 50;
const QUIET_MS = 30_000;
const BUSY_MS = 2_000;
const TYPING_MS = 250;
/** So long a button waits for its answer; connections are few, and the list tells the rest. */
const PATIENCE_MS = 3_000;

const ORDERS = {
  name: "Name, A to Z",
  "-name": "Name, Z to A",
  "-last_activity": "Active last",
  last_activity: "Not active for longest",
  "-id": "Added last",
  id: "Added first",
};
const STATES = { "": "All users", active: "With a server up", ready: "With a running server", inactive: "Without a server up" };

export class Users {
  constructor(root, panel, api) {
    this.api = api;
    this.hubPrefix = root.dataset.hubPrefix;
    this.rows = new Map();
    this.query = queryOfPage();
    this.starts = new Starts(api, {
      tell: (user, server, event) => this.rows.get(user)?.tell(server, event),
      over: () => this.refresh(),
    });
    const act = (deed) => (row, server) => this.#try(row, () => deed(row, server));
    this.deeds = {
      start: act((row, server) => this.#start(row, server)),
      stop: act((row, server) => this.#stop(row, server)),
      remove: act((row, server) => removeServer(this.api, row.user, server)),
      edit: act((row) => editUser(this.api, row.user)),
      delete: act((row) => deleteUser(this.api, row.user)),
    };
    if (root.dataset.namedServers === "true") this.deeds.addServer = act((row) => addServer(this.api, row.user));
    panel.append(...this.#build());
    document.addEventListener("visibilitychange", () => this.refresh());
  }

  #build() {
    const input = (event) => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.#search({ name_filter: event.target.value.trim() }), TYPING_MS);
    };
    const choice = (name, label, options) =>
      h(
        "select",
        { id: `users-${name}`, "aria-label": label, onchange: (event) => this.#search({ [name]: event.target.value }) },
        Object.entries(options).map(([value, text]) => h("option", { value, selected: this.query[name] === value }, text)),
      );
    this.error = h("p", { class: "notice bad", role: "alert", hidden: true });
    this.status = h("p", { class: "small", role: "status" });
    this.list = h("ul", { class: "rows card" });
    this.pager = new Pager("users", (offset) => this.#show({ offset }));
    return [
      h(
        "div",
        { class: "toolbar field" },
        h("input", { id: "users-name_filter", type: "search", "aria-label": "Search by name", placeholder: "Search by name", value: this.query.name_filter, autocapitalize: "none", spellcheck: "false", oninput: input }),
        choice("state", "Which users", STATES),
        choice("sort", "Order", ORDERS),
      ),
      h(
        "div",
        { class: "toolbar" },
        h("button", { type: "button", id: "add-users", class: "button primary compact", onclick: () => this.#add() }, "Add users"),
        h("button", { type: "button", class: "button compact", onclick: () => this.#all("stopped") }, "Start all on this page"),
        h("button", { type: "button", class: "button compact", onclick: () => this.#all("ready") }, "Stop all on this page"),
      ),
      this.status,
      this.error,
      this.list,
      this.pager.element,
    ];
  }

  /** Another question to the list, from its beginning. */
  #search(change) {
    this.#show({ ...change, offset: 0 });
  }

  #show(change) {
    Object.assign(this.query, change);
    keepInAddress(this.query);
    return this.refresh();
  }

  /** Asks for the list again; of two questions the later counts. */
  async refresh() {
    clearTimeout(this.timer);
    this.asking?.abort();
    if (document.hidden) return;
    const asking = (this.asking = new AbortController());
    let busy = false;
    try {
      const { name_filter, state, sort, offset } = this.query;
      const query = { include_stopped_servers: 1, limit: LIMIT, offset, sort, state, name_filter };
      const { items, _pagination } = await this.api.list("/users", query, asking.signal);
      if (asking.signal.aborted) return;
      if (items.length === 0 && offset > 0 && _pagination.total > 0) {
        // The last one of this page is gone.
        this.#show({ offset: Math.max(0, offset - LIMIT) });
        return;
      }
      this.#draw(items);
      this.pager.show(_pagination, items.length);
      this.error.hidden = true;
      this.starts.follow(items);
      busy = items.some((user) => serversOf(user).some((server) => server.pending));
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#complain(error);
    }
    this.timer = setTimeout(() => this.refresh(), busy ? BUSY_MS : QUIET_MS);
  }

  #draw(users) {
    const before = this.rows;
    this.rows = new Map();
    for (const user of users) {
      const row = before.get(user.name) ?? new UserRow(this.deeds, this.hubPrefix);
      row.update(user);
      this.rows.set(user.name, row);
    }
    const elements = [...this.rows.values()].map((row) => row.element);
    // Moving an element takes the focus from what is in it.
    const same = elements.length === this.list.children.length && elements.every((one, at) => one === this.list.children[at]);
    if (!same) this.list.replaceChildren(...elements);
    this.list.hidden = elements.length === 0;
  }

  #complain(error) {
    this.error.textContent = error.status === 403 && /credentials/.test(error.message) ? "You are signed out. Load this page again to sign in." : error.message;
    this.error.hidden = false;
  }

  /**
   * What a button does: what goes wrong is told in its row, and the list is asked for
   * again. Whether it went well.
   */
  async #try(row, deed) {
    row.error = "";
    try {
      await deed();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      row.complain(error.message);
      return false;
    }
    row.draw();
    await this.refresh();
    return true;
  }

  /** A start may take minutes, so the row says at once that it is on its way. */
  async #start(row, server) {
    this.#pretend(row, server, "spawn");
    try {
      await this.api.call("POST", serverPath(row.user, server), undefined, { signal: AbortSignal.timeout(PATIENCE_MS) });
    } catch (error) {
      await this.refresh();
      throw error;
    }
  }

  async #stop(row, server) {
    this.#pretend(row, server, "stop");
    await this.api.call("DELETE", serverPath(row.user, server), undefined, { signal: AbortSignal.timeout(PATIENCE_MS) });
  }

  #pretend(row, server, pending) {
    const now = { ...server, ready: false, pending };
    row.update({ ...row.user, servers: { ...row.user.servers, [server.name]: now } });
    // The hub does not know yet, but soon will.
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), TYPING_MS);
  }

  async #add() {
    const added = await addUsers(this.api);
    if (!added) return;
    this.status.textContent = `Added ${added.map((user) => user.name).join(", ")}.`;
    await this.refresh();
  }

  /** Starts the default servers of everybody on this page, or stops all there are. */
  async #all(state) {
    const start = state === "stopped";
    const wanted = [];
    for (const row of this.rows.values()) {
      for (const server of serversOf(row.user)) {
        if (stateOf(server) === state && !(start && server.name)) wanted.push([row, server]);
      }
    }
    if (wanted.length === 0) {
      this.status.textContent = start ? "Every user on this page has a server up." : "No server on this page is running.";
      return;
    }
    const servers = wanted.length === 1 ? "1 server" : `${wanted.length} servers`;
    const sure = await ask({ title: `${start ? "Start" : "Stop"} ${servers}?`, submit: start ? "Start" : "Stop", danger: !start });
    if (!sure) return;
    let failed = 0;
    const told = (done) => {
      const text = `${start ? "Started" : "Stopped"} ${done - failed} of ${servers}`;
      this.status.textContent = failed > 0 ? `${text}; with ${failed} it went wrong, as told there.` : `${text}.`;
    };
    told(0);
    await each(
      wanted,
      async ([row, server]) => {
        if (!(await this.deeds[start ? "start" : "stop"](row, server))) failed += 1;
      },
      told,
    );
  }
}

function queryOfPage() {
  const given = new URLSearchParams(window.location.search);
  const known = (name, among, otherwise) => (given.get(name) in among ? given.get(name) : otherwise);
  return {
    name_filter: given.get("name_filter") ?? "",
    state: known("state", STATES, ""),
    sort: known("sort", ORDERS, "name"),
    offset: Math.max(0, parseInt(given.get("offset"), 10) || 0),
  };
}

/** So that the page can be loaded again, and sent to a colleague. */
function keepInAddress(query) {
  const kept = Object.entries(query).filter(([, value]) => value !== "" && value !== 0);
  const search = new URLSearchParams(kept);
  window.history.replaceState(null, "", `?${search}${window.location.hash}`);
}
