// Previous, next, and where in the list one is.

import { h } from "./elements.js";

/** A pager; `go` is called with the offset of the page to show. */
export class Pager {
  constructor(what, go) {
    this.what = what;
    this.text = h("p", { class: "small", role: "status" });
    this.previous = h("button", { type: "button", class: "button compact", onclick: () => go(this.before) }, "Previous");
    this.next = h("button", { type: "button", class: "button compact", onclick: () => go(this.after) }, "Next");
    this.element = h("nav", { class: "pager", "aria-label": `Pages of ${what}` }, this.text, this.previous, this.next);
  }

  show({ offset, limit, total, next }, shown) {
    this.before = Math.max(0, offset - limit);
    this.after = next ? next.offset : offset;
    this.text.textContent =
      shown > 0 ? `${offset + 1} to ${offset + shown} of ${total}` : total > 0 ? `Nothing here; ${total} in all` : `No ${this.what}`;
    this.previous.disabled = offset === 0;
    this.next.disabled = !next;
    this.previous.hidden = this.next.hidden = offset === 0 && !next;
  }
}
