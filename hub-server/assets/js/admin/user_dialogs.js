// The questions about users.

import { path } from "./api.js";
import { ask, checkbox, field } from "./dialog.js";
import { h, names } from "./elements.js";

export function addUsers(api) {
  return ask({
    title: "Add users",
    submit: "Add",
    body: [
      field(
        "Names",
        h("textarea", { name: "usernames", rows: 4, required: true, autocapitalize: "none", spellcheck: "false" }),
        "One or several, separated by spaces, commas or lines.",
      ),
      checkbox("Make them administrators", "admin", false),
    ],
    act: (data) => api.call("POST", "/users", { usernames: names(data.get("usernames")), admin: data.has("admin") }),
  });
}

export function editUser(api, user) {
  return ask({
    title: `Edit ${user.name}`,
    submit: "Save",
    body: [
      field("Name", h("input", { name: "name", value: user.name, required: true, autocapitalize: "none", spellcheck: "false" })),
      checkbox("Administrator", "admin", user.admin),
    ],
    act: async (data) => {
      const change = {};
      const name = data.get("name").trim();
      if (name !== user.name) change.name = name;
      if (data.has("admin") !== user.admin) change.admin = data.has("admin");
      return Object.keys(change).length > 0 ? api.call("PATCH", path("users", user.name), change) : user;
    },
  });
}

export function deleteUser(api, user) {
  return ask({
    title: `Delete ${user.name}?`,
    submit: "Delete",
    danger: true,
    body: [h("p", {}, "The account, its tokens and its sign-ins are removed, and its servers are stopped. Files stay on the hub's volumes.")],
    act: async () => {
      await api.call("DELETE", path("users", user.name));
      return true;
    },
  });
}

export function addServer(api, user) {
  return ask({
    title: `Add a server for ${user.name}`,
    submit: "Add",
    body: [
      field(
        "Name",
        h("input", { name: "name", required: true, autocapitalize: "none", spellcheck: "false" }),
        "Part of its address: small letters, digits and dashes.",
      ),
      field("Shown as", h("input", { name: "display_name" }), "May be left empty."),
    ],
    act: (data) => {
      const shown = data.get("display_name").trim();
      return api.call("PUT", path("users", user.name, "servers", data.get("name").trim()), shown ? { display_name: shown } : {});
    },
  });
}

export function removeServer(api, user, server) {
  return ask({
    title: `Remove “${server.name}” of ${user.name}?`,
    submit: "Remove",
    danger: true,
    body: [h("p", {}, "The server and its settings are forgotten.")],
    act: async () => {
      await api.call("DELETE", path("users", user.name, "servers", server.name), { remove: true });
      return true;
    },
  });
}
