// The address holds the moment and the view, as in #t=3.2&zoom=mouth&ab=one,other, so that it can be sent on.
import { short } from "./numbers.js";

/** Return the words of an address for the present state; what is as it always is at first is left out. */
export function describe({ players, zoom, compare }) {
  const words = [];
  if (players.time > 0) words.push(["t", short(players.time)]);
  if (zoom.region) words.push(["zoom", zoom.region]);
  if (zoom.zoomed) words.push(["at", [zoom.scale, zoom.x, zoom.y].map(short).join(",")]);
  if (compare.two) words.push([compare.mode === "wipe" ? "ab" : "diff", `${compare.a},${compare.b}`]);
  if (compare.mode === "wipe" && compare.wipe !== 0.5) words.push(["wipe", short(compare.wipe)]);
  if (compare.mode === "solo") words.push(["solo", compare.a]);
  if (players.speed !== 1) words.push(["speed", short(players.speed)]);
  if (players.passage) words.push(["loop", `${short(players.passage.from)},${short(players.passage.to)}`]);
  else if (players.loop) words.push(["loop", "all"]);
  const first = compare.figures.map((one) => one.name);
  if (compare.order.join() !== first.join()) words.push(["order", compare.order.join(",")]);
  return words.map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll("%2C", ",")}`).join("&");
}

/** Bring everything into the state that an address describes; what it says of unknown names is passed over. */
export function restore(hash, { players, zoom, compare }) {
  const words = new URLSearchParams(hash.replace(/^#/, ""));
  const numbers = (key) => (words.get(key) ?? "").split(",").map(Number);
  const pair = (key) => (words.get(key) ?? "").split(",");
  if (words.has("order")) compare.arrange(pair("order"));
  if (words.has("ab")) compare.set({ mode: "wipe", a: pair("ab")[0], b: pair("ab")[1] });
  else if (words.has("diff")) compare.set({ mode: "difference", a: pair("diff")[0], b: pair("diff")[1] });
  else if (words.has("solo")) compare.set({ mode: "solo", a: words.get("solo") });
  if (words.has("wipe") && Number.isFinite(numbers("wipe")[0])) compare.setWipe(numbers("wipe")[0]);
  if (words.has("zoom")) zoom.show(words.get("zoom"));
  const at = numbers("at");
  if (at.length === 3 && at.every(Number.isFinite)) zoom.set(...at);
  const [speed] = numbers("speed");
  if (words.has("speed") && speed > 0) players.setSpeed(speed);
  if (words.get("loop") === "all") players.loop = true;
  const [from, to] = numbers("loop");
  if (words.has("loop") && to > from && from >= 0) {
    players.passage = { from, to };
    players.loop = true;
  }
  const [time] = numbers("t");
  if (words.has("t") && time >= 0) players.seek(time);
  players.changed();
}

/** Keep the address up to date; not while playing, when it would change with every frame. */
export class Link {
  constructor(state) {
    this.state = state;
    this.ready = false; // until what the address says is done, it is not written over: videos may take long to load
    this.paused = false; // while names are hidden, the address must not tell them
    for (const part of [state.players, state.zoom, state.compare]) part.addEventListener("change", () => this.#later());
  }

  write() {
    if (!this.ready || this.paused || this.state.players.playing) return;
    const words = describe(this.state);
    if (location.hash !== (words && `#${words}`)) history.replaceState(null, "", words ? `#${words}` : location.pathname);
  }

  #later() {
    if (this.waiting) return;
    this.waiting = setTimeout(() => {
      this.waiting = 0;
      this.write();
    }, 200);
  }
}
