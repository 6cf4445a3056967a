// Times as people say them. The page shows plain UTC where scripts are off.

const STEPS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** "5 minutes ago"; a clock that is ahead of the hub's reads "just now". */
export function ago(iso, now = Date.now()) {
  const seconds = (now - Date.parse(iso)) / 1000;
  for (const [unit, length] of STEPS) {
    if (seconds >= length) return words.format(-Math.floor(seconds / length), unit);
  }
  return "just now";
}

/** "in 3 days"; what is over reads "now". */
export function until(iso, now = Date.now()) {
  const seconds = (Date.parse(iso) - now) / 1000;
  for (const [unit, length] of STEPS) {
    if (seconds >= length) return words.format(Math.round(seconds / length), unit);
  }
  return seconds > 0 ? "within a minute" : "now";
}

/** "1:07" for 67 seconds. */
export function clock(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Rewrites every `<time>` below `root`, those marked `data-until` as times to come, keeping the exact moment as its tooltip. */
export function sayTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = Date.parse(time.dateTime);
    if (Number.isNaN(moment)) continue;
    time.textContent = "until" in time.dataset ? until(time.dateTime) : ago(time.dateTime);
    time.title = new Date(moment).toLocaleString();
  }
}
