// The hub's public REST API, as any script may use it.

const ENVELOPE = "application/jupyterhub-pagination+json";

/** What the hub, or the way to it, has against a request. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export class Api {
  constructor({ api, xsrf }) {
    this.base = api;
    this.xsrf = xsrf;
  }

  /**
   * Calls the API; the JSON of the answer, or `null` if it has none. A `signal` that times
   * out stands for an answer that is not waited for: the hub goes on with what it began.
   */
  async call(method, path, body, { accept = "application/json", signal } = {}) {
    const headers = { Accept: accept, "X-XSRFToken": this.xsrf };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response, text;
    try {
      response = await fetch(this.base + path, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: "no-store",
        signal,
      });
      text = await response.text();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      if (error.name === "TimeoutError") return null;
      throw new ApiError(0, "The hub does not answer. It may be restarting; try again in a moment.");
    }
    let told = null;
    try {
      told = JSON.parse(text);
    } catch {
      // An empty answer, or the page of a proxy in between.
    }
    if (response.ok) return told;
    throw new ApiError(response.status, told?.message || `The hub answered ${response.status} ${response.statusText}`);
  }

  /** One page of a list: `{items, _pagination}`. */
  list(path, query, signal) {
    const search = new URLSearchParams(query);
    return this.call("GET", `${path}?${search}`, undefined, { accept: ENVELOPE, signal });
  }

  /** The events of a start. */
  events(url) {
    const address = new URL(url, window.location.href);
    address.searchParams.set("_xsrf", this.xsrf);
    return new EventSource(address);
  }
}

/** `/users/ada` and the like: every part is one segment of the path. */
export function path(...parts) {
  return parts.map((part) => `/${encodeURIComponent(part)}`).join("");
}
