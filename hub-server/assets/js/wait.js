// Asks for this page again until the hub answers with another one, then goes there.

const AGAIN_MS = 1_500;

async function look() {
  try {
    const response = await fetch(window.location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    // Below 500, or a page of the hub's own: an answer to show. Anything else is a hub that restarts.
    if (page.querySelector("main") && !page.querySelector("[data-wait]")) {
      window.location.replace(response.url);
      return;
    }
  } catch {
    // No answer; the hub may be restarting.
  }
  setTimeout(look, AGAIN_MS);
}

setTimeout(look, AGAIN_MS);
