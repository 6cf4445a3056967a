// Questions in front of the page.

import { h } from "./elements.js";

/**
 * Asks with a form. `act` gets the form's data when the person agrees; what it throws is
 * shown in the dialog, which stays open. Resolves to what `act` returned, or to
 * `undefined` if the person changed their mind.
 */
export function ask({ title, body = [], submit, danger = false, act = async () => true }) {
  return new Promise((resolve) => {
    const error = h("p", { class: "notice bad", role: "alert", hidden: true });
    const yes = h("button", { type: "submit", class: `button ${danger ? "danger" : "primary"}` }, submit);
    const no = h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Cancel");
    let result;
    const form = h(
      "form",
      {
        onsubmit: async (event) => {
          event.preventDefault();
          if (yes.getAttribute("aria-disabled") === "true") return;
          yes.setAttribute("aria-disabled", "true");
          error.hidden = true;
          try {
            result = await act(new FormData(form), form);
            dialog.close();
          } catch (problem) {
            error.textContent = problem.message;
            error.hidden = false;
          } finally {
            yes.removeAttribute("aria-disabled");
          }
        },
      },
      h("h2", { id: "dialog-title" }, title),
      body,
      error,
      h("div", { class: "actions" }, yes, no),
    );
    const dialog = h(
      "dialog",
      {
        class: "dialog",
        "aria-labelledby": "dialog-title",
        onclose: () => {
          dialog.remove();
          resolve(result);
        },
      },
      form,
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A labelled field for a form; `control` is given the id that the label names. */
export function field(label, control, hint) {
  control.id ||= `field-${control.name}`;
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, hint && h("p", { class: "small" }, hint));
}

export function checkbox(label, name, checked) {
  return h("label", { class: "check" }, h("input", { type: "checkbox", name, checked }), h("span", {}, label));
}
