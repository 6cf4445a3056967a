// Two comforts for the token page; it works the same without them.

import { sayTimes } from "./time.js";

const AGAIN_MS = 2_000;

for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      // Over plain http browsers keep the clipboard to themselves: select it at least.
      window.getSelection().selectAllChildren(source);
      button.textContent = "Press Ctrl+C";
    }
    setTimeout(() => (button.textContent = label), AGAIN_MS);
  });
}

// Loading the page again must not make a second token.
if (document.querySelector(".made")) window.history.replaceState(null, "", window.location.href);

sayTimes(document);
