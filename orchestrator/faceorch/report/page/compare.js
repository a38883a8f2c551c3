// What is on the screen: all pictures side by side, one alone, two beside each other, or two over each other.
//
// The figures themselves are laid over each other by the style sheet: nothing is copied, so everything that holds for
// them (being in step, zoom) holds here too.
import { clamp } from "./numbers.js";

export const MODES = ["all", "wipe", "difference", "solo", "pair"];

export class Compare extends EventTarget {
  /** `figures` are {name, title, figure}, the portrait among them; `handle` is the slider between two pictures. */
  constructor(stage, figures, handle) {
    super();
    Object.assign(this, { stage, figures, handle });
    this.mode = "all";
    this.order = figures.map((one) => one.name);
    const videos = this.order.filter((name) => name !== "portrait");
    [this.a, this.b] = [videos[0] ?? this.order[0], videos[1] ?? this.order[0]];
    this.wipe = 0.5;
    this.#listen();
    this.apply();
  }

  /** Whether two pictures lie over each other. */
  get two() {
    return this.mode === "wipe" || this.mode === "difference";
  }

  /** The names on the screen; null: all. */
  get shown() {
    if (this.two || this.mode === "pair") return [this.a, this.b];
    return this.mode === "solo" ? [this.a] : null;
  }

  set({ mode = this.mode, a = this.a, b = this.b } = {}) {
    const known = (name) => this.order.includes(name);
    if (!MODES.includes(mode) || !known(a) || !known(b)) return;
    Object.assign(this, { mode, a, b });
    this.apply();
  }

  swap() {
    this.set({ a: this.b, b: this.a });
  }

  /** Move a picture one place to the left (-1) or to the right (1). */
  move(name, by) {
    const from = this.order.indexOf(name);
    const to = clamp(from + by, 0, this.order.length - 1);
    this.order.splice(to, 0, ...this.order.splice(from, 1));
    this.apply();
  }

  /** Put the pictures into this order; names that are missing come last. */
  arrange(names) {
    const known = names.filter((name, at) => this.order.includes(name) && names.indexOf(name) === at);
    this.order = [...known, ...this.order.filter((name) => !known.includes(name))];
    this.apply();
  }

  setWipe(share) {
    this.wipe = clamp(share, 0, 1);
    this.apply();
  }

  apply() {
    const { stage, mode } = this;
    stage.dataset.mode = mode;
    const shown = this.shown;
    const byName = new Map(this.figures.map((one) => [one.name, one]));
    this.order.forEach((name, place) => {
      const { figure } = byName.get(name);
      figure.hidden = shown !== null && !shown.includes(name);
      figure.classList.toggle("over", this.two && name === this.b && this.a !== this.b);
      // In the document as on the screen, so that the Tab key goes the way the eye does.
      if (stage.children[place] !== figure) stage.insertBefore(figure, stage.children[place]);
    });
    stage.style.setProperty("--wipe", `${100 * this.wipe}%`);
    this.handle.hidden = mode !== "wipe";
    this.handle.setAttribute("aria-valuenow", String(Math.round(100 * this.wipe)));
    const names = [this.a, this.b].map((name) => byName.get(name).title);
    this.handle.setAttribute("aria-valuetext", `${Math.round(100 * this.wipe)} % ${names[0]}, the rest ${names[1]}`);
    for (const [side, title] of [["left", names[0]], ["right", names[1]]]) {
      const label = stage.querySelector(`.side.${side}`);
      label.textContent = mode === "difference" && side === "right" ? `− ${title}` : title;
      label.hidden = !this.two;
    }
    this.dispatchEvent(new Event("change"));
  }

  #listen() {
    const { handle, stage } = this;
    const follow = (event) => {
      const box = stage.getBoundingClientRect();
      this.setWipe((event.clientX - box.left) / box.width);
    };
    handle.addEventListener("pointerdown", (event) => {
      handle.setPointerCapture(event.pointerId);
      event.preventDefault();
      handle.focus();
    });
    handle.addEventListener("pointermove", (event) => {
      if (handle.hasPointerCapture(event.pointerId)) follow(event);
    });
    handle.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -0.02, ArrowRight: 0.02, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      this.setWipe(this.wipe + by);
    });
  }
}
