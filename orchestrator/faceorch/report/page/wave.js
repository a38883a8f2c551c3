// The clip's waveform above the scrubber: where the player is, the passage that is looped, and the words.
import { clamp } from "./numbers.js";

export class Wave {
  /** `box` holds the picture of the waveform; `words` (or null) has one element per word, with data-from and data-to. */
  constructor(box, words, players) {
    Object.assign(this, { box, players });
    this.head = box.querySelector(".head");
    this.part = box.querySelector(".part");
    this.words = words ? [...words.querySelectorAll("[data-from]")] : [];
    for (const word of this.words) {
      word.addEventListener("click", () => players.seek(Number(word.dataset.from)));
    }
    this.#listen();
    players.addEventListener("change", () => this.show());
  }

  show() {
    const { players } = this;
    const length = players.length || 1;
    this.head.style.left = `${(100 * players.time) / length}%`;
    const passage = players.passage;
    this.part.hidden = !passage;
    if (passage) {
      this.part.style.left = `${(100 * passage.from) / length}%`;
      this.part.style.width = `${(100 * (passage.to - passage.from)) / length}%`;
      this.part.classList.toggle("on", players.loop);
    }
    for (const word of this.words) {
      const spoken = players.time >= Number(word.dataset.from) && players.time < Number(word.dataset.to);
      word.classList.toggle("spoken", spoken);
    }
  }

  #listen() {
    const { box, players } = this;
    let from = null;
    const at = (event) => {
      const place = box.getBoundingClientRect();
      return clamp((event.clientX - place.left) / place.width, 0, 1) * players.length;
    };
    box.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      box.setPointerCapture(event.pointerId);
      from = event.shiftKey ? at(event) : null;
      players.seek(at(event));
    });
    box.addEventListener("pointermove", (event) => {
      if (!box.hasPointerCapture(event.pointerId)) return;
      if (from === null) {
        players.seek(at(event));
        return;
      }
      const to = at(event);
      if (Math.abs(to - from) < 0.04) return;
      players.passage = { from: Math.min(from, to), to: Math.max(from, to) };
      players.loop = true;
      players.changed();
    });
    box.addEventListener("pointerup", () => {
      if (from !== null && players.passage) players.seek(players.passage.from);
      from = null;
    });
  }
}
