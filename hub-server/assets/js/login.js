// Two comforts for the sign-in form; it works the same without them.

for (const button of document.querySelectorAll("[data-reveal]")) {
  const input = document.getElementById(button.dataset.reveal);
  button.hidden = false;
  button.setAttribute("aria-label", "Show password");
  button.addEventListener("click", () => {
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    button.textContent = shown ? "Hide" : "Show";
    button.setAttribute("aria-label", shown ? "Hide password" : "Show password");
  });
}

for (const form of document.querySelectorAll("form")) {
  const submit = form.querySelector("[type=submit]");
  const label = submit.textContent;
  form.addEventListener("submit", (event) => {
    // Hashing a password takes the hub a moment; a second click would only queue a second try.
    if (submit.getAttribute("aria-disabled") === "true") {
      event.preventDefault();
      return;
    }
    submit.setAttribute("aria-disabled", "true");
    submit.textContent = "Signing in…";
  });
  // The back button may bring the page back exactly as it was left.
  window.addEventListener("pageshow", () => {
    submit.removeAttribute("aria-disabled");
    submit.textContent = label;
  });
}
