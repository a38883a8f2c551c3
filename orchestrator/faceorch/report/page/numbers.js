// Small helpers on numbers and times, shared by the other modules.

/** Return `value`, moved into [low, high]. */
export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** Return seconds as text: `0:03.20`. */
export function clockText(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(2).padStart(5, "0")}`;
}

/** Return a number with at most three decimals and no trailing zeros. */
export function short(value) {
  return String(Number(value.toFixed(3)));
}

/** Return a shuffled copy; the browser's own random numbers, so that nobody can foresee the order. */
export function shuffled(items) {
  const copy = [...items];
  for (let last = copy.length - 1; last > 0; last -= 1) {
    const other = crypto.getRandomValues(new Uint32Array(1))[0] % (last + 1);
    [copy[last], copy[other]] = [copy[other], copy[last]];
  }
  return copy;
}
