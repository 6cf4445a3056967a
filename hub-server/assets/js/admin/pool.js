// Many slow calls, a few at a time.

/**
 * How many calls may wait for the hub at once. Over HTTP/1.1 a browser opens six
 * connections to a host, and the page needs some for other things.
 */
export function breadth() {
  const [page] = performance.getEntriesByType("navigation");
  return ["h2", "h3"].includes(page?.nextHopProtocol) ? 8 : 2;
}

/** Does `work` with every one of `items`, `breadth()` at once; tells `onDone` how many are done. */
export async function each(items, work, onDone) {
  const open = [...items];
  let done = 0;
  const one = async () => {
    while (open.length > 0) {
      await work(open.shift());
      onDone(++done, items.length);
    }
  };
  await Promise.all(Array.from({ length: breadth() }, one));
}
