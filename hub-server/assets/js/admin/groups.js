// The groups.

import { ask, field } from "./dialog.js";
import { h, names } from "./elements.js";
import { GroupCard } from "./group_card.js";
import { Pager } from "./pages.js";

const LIMIT = 25;

export class Groups {
  constructor(panel, api) {
    this.api = api;
    this.offset = 0;
    this.cards = new Map();
    this.error = h("p", { class: "notice bad", role: "alert", hidden: true });
    this.status = h("p", { class: "small", role: "status" });
    this.list = h("ul", { class: "rows card" });
    this.pager = new Pager("groups", (offset) => {
      this.offset = offset;
      this.refresh();
    });
    this.adding = h("button", { type: "button", id: "add-groups", class: "button primary compact", onclick: () => this.#add() }, "Add groups");
    panel.append(h("div", { class: "toolbar" }, this.adding), this.status, this.error, this.list, this.pager.element);
  }

  async refresh() {
    try {
      const { items, _pagination } = await this.api.list("/groups", { limit: LIMIT, offset: this.offset });
      if (items.length === 0 && this.offset > 0) {
        this.offset = Math.max(0, this.offset - LIMIT);
        await this.refresh();
        return;
      }
      const before = this.cards;
      this.cards = new Map();
      for (const group of items) {
        const card = before.get(group.name) ?? new GroupCard(this.api, (text) => this.#changed(text));
        card.update(group);
        this.cards.set(group.name, card);
      }
      this.list.replaceChildren(...[...this.cards.values()].map((card) => card.element));
      this.list.hidden = items.length === 0;
      this.pager.show(_pagination, items.length);
      this.error.hidden = true;
    } catch (error) {
      this.list.hidden = true;
      this.error.textContent = error.message;
      this.error.hidden = false;
    }
  }

  #changed(text) {
    this.status.textContent = text;
    return this.refresh();
  }

  async #add() {
    const added = await ask({
      title: "Add groups",
      submit: "Add",
      body: [
        field("Names", h("input", { name: "groups", required: true, autocapitalize: "none", spellcheck: "false" }), "One or several, separated by spaces or commas."),
        field("Members", h("input", { name: "users", autocapitalize: "none", spellcheck: "false" }), "Users of this hub; may be left empty."),
      ],
      act: (data) => this.api.call("POST", "/groups", { groups: names(data.get("groups")), users: names(data.get("users")) }),
    });
    if (added) await this.#changed(`Added ${added.map((group) => group.name).join(", ")}.`);
  }
}
