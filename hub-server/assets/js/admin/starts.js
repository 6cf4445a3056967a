// The progress of starts, as the hub tells it while it happens.

import { breadth } from "./pool.js";
import { serverPath, serversOf, stateOf } from "./server.js";

/** Follows a few starts at a time; the others are seen when the list is asked for again. */
export class Starts {
  /** `tell(user name, server name, {percent, message})` is called at every event. */
  constructor(api, { tell, over }) {
    this.api = api;
    this.tell = tell;
    this.over = over;
    this.streams = new Map();
  }

  /** Follows what starts among `users`, and nothing else any more. */
  follow(users) {
    const wanted = new Map();
    for (const user of users) {
      for (const server of serversOf(user)) {
        if (stateOf(server) === "starting") wanted.set(serverPath(user, server), [user, server]);
      }
    }
    for (const [key, events] of this.streams) {
      if (!wanted.has(key)) this.#close(key, events);
    }
    for (const [key, [user, server]] of wanted) {
      if (this.streams.size >= breadth()) break;
      if (!this.streams.has(key)) this.#open(key, user, server);
    }
  }

  #open(key, user, server) {
    const events = this.api.events(`${this.api.base}${key}/progress`);
    this.streams.set(key, events);
    events.addEventListener("message", ({ data }) => {
      let event;
      try {
        event = JSON.parse(data);
      } catch {
        return;
      }
      this.tell(user.name, server.name, { percent: event.progress, message: String(event.message ?? "") });
      if (event.ready || event.failed) {
        this.#close(key, events);
        this.over();
      }
    });
    events.addEventListener("error", () => {
      // Closed for good: the list knows better.
      if (events.readyState === EventSource.CLOSED) this.#close(key, events);
    });
  }

  #close(key, events) {
    events.close();
    this.streams.delete(key);
  }
}
