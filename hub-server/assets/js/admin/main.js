// The administration page: two tabs over the REST API.

import { Api } from "./api.js";
import { Groups } from "./groups.js";
import { Users } from "./users.js";

const root = document.querySelector("[data-admin]");
const api = new Api(root.dataset);
const tabs = [...root.querySelectorAll('[role="tab"]')];
const panelOf = (tab) => document.getElementById(tab.getAttribute("aria-controls"));
const contents = {
  "tab-users": new Users(root, document.getElementById("panel-users"), api),
  "tab-groups": new Groups(document.getElementById("panel-groups"), api),
};

function select(tab) {
  for (const one of tabs) {
    const selected = one === tab;
    one.setAttribute("aria-selected", String(selected));
    one.tabIndex = selected ? 0 : -1;
    panelOf(one).hidden = !selected;
  }
  const hash = tab.id === "tab-groups" ? "#groups" : "";
  window.history.replaceState(null, "", window.location.pathname + window.location.search + hash);
  contents[tab.id].refresh();
}

for (const [at, tab] of tabs.entries()) {
  tab.addEventListener("click", () => select(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const next = tabs[(at + step + tabs.length) % tabs.length];
    next.focus();
    select(next);
  });
}

root.querySelector('[role="tablist"]').hidden = false;
select(document.getElementById(window.location.hash === "#groups" ? "tab-groups" : "tab-users"));
