// One group: who belongs to it, and its properties.

import { ApiError, path } from "./api.js";
import { ask } from "./dialog.js";
import { aside, button, h, names, redraw } from "./elements.js";
import { Properties } from "./properties.js";

/** So many members are shown until somebody asks for the others. */
const SHOWN = 60;

export class GroupCard {
  constructor(api, changed) {
    this.api = api;
    this.changed = changed;
    this.element = h("li", { class: "row group" });
    this.members = h("ul", { class: "chips" });
    this.count = h("p", { class: "small" });
    this.error = h("p", { class: "notice bad", role: "alert", hidden: true });
    this.input = h("input", { "aria-label": "Names to add", placeholder: "names to add", autocapitalize: "none", spellcheck: "false" });
  }

  update(group) {
    const seen = JSON.stringify(group);
    if (seen === this.seen) return;
    const first = this.seen === undefined;
    this.seen = seen;
    this.group = group;
    if (first) this.#build();
    this.#drawMembers();
    const properties = JSON.stringify(group.properties ?? {});
    if (properties !== this.properties) {
      this.properties = properties;
      this.editor.show(group.properties ?? {});
    }
  }

  #build() {
    const { name } = this.group;
    this.element.dataset.group = name;
    this.editor = new Properties({}, (properties) => this.#save(properties));
    const add = h(
      "form",
      {
        class: "toolbar field add-members",
        onsubmit: (event) => {
          event.preventDefault();
          this.#members("POST", names(this.input.value));
        },
      },
      this.input,
      h("button", { type: "submit", class: "button compact" }, "Add members", aside(`to ${name}`)),
    );
    this.element.append(
      h("div", { class: "row-main" }, h("h3", { class: "row-title" }, name), this.count),
      h("div", { class: "row-actions" }, button("Delete", name, () => this.#delete(), { kind: "danger" })),
      h("div", { class: "group-body" }, this.members, add, this.error, h("details", {}, h("summary", {}, "Properties", aside(`of ${name}`)), this.editor.element)),
    );
  }

  #drawMembers() {
    const users = this.group.users ?? [];
    this.count.textContent = users.length === 1 ? "1 member" : `${users.length} members`;
    const shown = this.all ? users : users.slice(0, SHOWN);
    redraw(
      this.members,
      shown.map((user) =>
        h(
          "li",
          {},
          user,
          h("button", { type: "button", class: "remove", "aria-label": `Remove ${user} from ${this.group.name}`, data: { key: user }, onclick: () => this.#members("DELETE", [user]) }, "×"),
        ),
      ),
      shown.length < users.length &&
        h("li", {}, button(`and ${users.length - shown.length} more`, "members", () => ((this.all = true), this.#drawMembers()))),
    );
  }

  async #members(method, users) {
    if (users.length === 0) return;
    this.error.hidden = true;
    try {
      this.update(await this.api.call(method, `${path("groups", this.group.name)}/users`, { users }));
      if (method === "POST") this.input.value = "";
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.error.textContent = error.message;
      this.error.hidden = false;
    }
  }

  async #save(properties) {
    this.update(await this.api.call("PUT", `${path("groups", this.group.name)}/properties`, properties));
  }

  async #delete() {
    const { name } = this.group;
    const gone = await ask({
      title: `Delete the group ${name}?`,
      submit: "Delete",
      danger: true,
      body: [h("p", {}, "Its members keep their accounts, and lose what they may do as its members.")],
      act: async () => {
        await this.api.call("DELETE", path("groups", name));
        return true;
      },
    });
    if (gone) this.changed(`Deleted ${name}.`);
  }
}
