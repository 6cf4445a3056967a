// Starts the server by itself where the operator wants it so, unless the person
// does something else first.

const start = document.querySelector("[data-implicit-seconds]");
const timer = setTimeout(() => {
  if (start instanceof HTMLFormElement) start.submit();
  else window.location.assign(start.href);
}, Number(start.dataset.implicitSeconds) * 1000);

document.addEventListener("click", () => clearTimeout(timer));
