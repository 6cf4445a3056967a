// The properties of a group: any JSON object, edited as keys and values or as JSON.

import { button, h } from "./elements.js";

/** How a value is shown in its field: text as it is, unless it could be taken for JSON. */
function shown(value) {
  return typeof value === "string" && parsed(value) === undefined ? value : JSON.stringify(value);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export class Properties {
  constructor(properties, save) {
    this.save = save;
    this.body = h("div", { class: "properties" });
    this.element = h("form", { onsubmit: (event) => this.#submit(event) }, this.body);
    this.show(properties);
  }

  show(properties) {
    this.asJson = false;
    this.#draw(properties);
  }

  #draw(properties) {
    const switched = this.asJson ? "As keys and values" : "As JSON";
    this.rows = h("div", { class: "pairs" }, Object.entries(properties).map(([key, value]) => pair(key, shown(value))));
    this.text = h("textarea", { rows: 6, spellcheck: "false", "aria-label": "Properties as JSON" }, JSON.stringify(properties, null, 2));
    this.error = h("p", { class: "notice bad", role: "alert", hidden: true });
    this.body.replaceChildren(
      this.asJson ? this.text : this.rows,
      this.error,
      h(
        "div",
        { class: "toolbar" },
        h("button", { type: "submit", class: "button compact primary" }, "Save"),
        !this.asJson && button("Add a property", "", () => this.rows.append(pair("", ""))),
        button(switched, "", () => this.#switch()),
      ),
    );
  }

  #switch() {
    const properties = this.#read();
    if (!properties) return;
    this.asJson = !this.asJson;
    this.#draw(properties);
  }

  /** What the editor holds; `undefined` after telling what is wrong with it. */
  #read() {
    const wrong = (text) => {
      this.error.textContent = text;
      this.error.hidden = false;
    };
    if (this.asJson) {
      const value = parsed(this.text.value);
      const isObject = value !== null && typeof value === "object" && !Array.isArray(value);
      return isObject ? value : wrong('This is no JSON object, such as {"course": "logic"}.');
    }
    const properties = {};
    for (const row of this.rows.children) {
      const [key, value] = [...row.querySelectorAll("input")].map((input) => input.value);
      if (key.trim() === "" && value === "") continue;
      if (key.trim() === "") return wrong("A property needs a key.");
      if (key in properties) return wrong(`The key ${key} is there twice.`);
      properties[key] = parsed(value) ?? value;
      if (value.trim() === "null") properties[key] = null;
    }
    return properties;
  }

  async #submit(event) {
    event.preventDefault();
    const properties = this.#read();
    if (!properties) return;
    try {
      await this.save(properties);
    } catch (error) {
      this.error.textContent = error.message;
      this.error.hidden = false;
    }
  }
}

function pair(key, value) {
  const row = h(
    "div",
    { class: "pair field" },
    h("input", { value: key, "aria-label": "Key", placeholder: "key" }),
    h("input", { value, "aria-label": `Value of ${key || "the new property"}`, placeholder: "value" }),
    button("Remove", key, () => row.remove()),
  );
  return row;
}
