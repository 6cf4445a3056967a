// Elements in one expression; text is always text, never markup.

/**
 * An element with `props` and `children`. A function in `props` listens to the event it is
 * named after (`onclick`), `data` holds data attributes, `true` an attribute without a
 * value; `false`, `null` and `undefined` leave it out. So they do for children.
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== false && child !== null && child !== undefined));
  return element;
}

/** Text for screen readers only, to tell equal buttons apart. */
export function aside(text) {
  return h("span", { class: "sr" }, ` ${text}`);
}

/** A small button; `key` finds it again after its row was drawn anew. */
export function button(label, about, onclick, { key = label, kind = "" } = {}) {
  return h("button", { type: "button", class: `button compact ${kind}`, data: { key }, onclick }, label, about && aside(about));
}

/** A moment, told as people say it by `sayTimes`. */
export function moment(iso) {
  return h("time", { datetime: iso }, iso.slice(0, 16).replace("T", " "));
}

/** Names out of what somebody typed: separated by spaces, commas or lines. */
export function names(text) {
  return [...new Set(text.split(/[\s,;]+/).filter(Boolean))];
}

/** Replaces what is in `element` and leaves the focus on the same control. */
export function redraw(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  element.replaceChildren(...children.flat(Infinity).filter(Boolean));
  if (focused === undefined) return;
  const again = [...element.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focused);
  (again ?? element.querySelector("button, a"))?.focus();
}
