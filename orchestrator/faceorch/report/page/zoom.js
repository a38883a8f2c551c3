// Linked zoom and pan: every picture shows the same part, by wheel, pinch, drag, double click or button.
//
// Pictures sit in square frames. A view is a region (of the face, when boxes are known: each picture has its own, and the
// whole face where a part is not known) and, on top of it, a zoom that all pictures share. Coordinates run from 0 to 1
// over the frame.
import { clamp } from "./numbers.js";

const MOST_ZOOM = 16;
const MARGIN = 1.5; // a region fills the frame with so much around it

export class Zoom extends EventTarget {
  /** `pictures` are {frame, picture, boxes}: `boxes` by region are shares of the picture [left, top, width, height]. */
  constructor(pictures) {
    super();
    this.pictures = pictures;
    this.region = null;
    this.reset();
    for (const one of pictures) {
      this.#listen(one.frame);
      one.picture.addEventListener("loadedmetadata", () => this.apply());
      one.picture.addEventListener("load", () => this.apply());
    }
  }

  /** Regions that at least one picture knows. */
  get regions() {
    return ["face", "eyes", "mouth"].filter((region) => this.pictures.some((one) => one.boxes[region]));
  }

  get zoomed() {
    return this.scale > 1;
  }

  /** Show the whole picture, or a region of the face. */
  show(region) {
    this.region = region && this.regions.includes(region) ? region : null;
    this.reset();
  }

  reset() {
    [this.scale, this.x, this.y] = [1, 0.5, 0.5];
    this.apply();
  }

  /** Set the shared zoom: `scale`, and the point of the frame that is in its middle. */
  set(scale, x, y) {
    this.scale = clamp(scale, 1, MOST_ZOOM);
    const edge = 0.5 / this.scale;
    this.x = clamp(x, edge, 1 - edge);
    this.y = clamp(y, edge, 1 - edge);
    this.apply();
  }

  /** Zoom by `factor`; the point (x, y) of the frame stays where it is. */
  by(factor, x = 0.5, y = 0.5) {
    const scale = clamp(this.scale * factor, 1, MOST_ZOOM);
    const [pointX, pointY] = [this.x + (x - 0.5) / this.scale, this.y + (y - 0.5) / this.scale];
    this.set(scale, pointX - (x - 0.5) / scale, pointY - (y - 0.5) / scale);
  }

  /** Move by shares of the frame. */
  pan(right, down) {
    this.set(this.scale, this.x - right / this.scale, this.y - down / this.scale);
  }

  apply() {
    for (const { frame, picture, boxes } of this.pictures) {
      const own = this.#own(picture, this.region ? (boxes[this.region] ?? boxes.face) : null);
      const scale = own.scale * this.scale;
      // A point p of the frame goes to (p - own.x) * own.scale + 0.5, and from there to (... - this.x) * this.scale + 0.5.
      const [dx, dy] = ["x", "y"].map((axis) => (0.5 - own[axis] * own.scale - this[axis]) * this.scale + 0.5);
      picture.style.transform = scale === 1 ? "" : `translate(${100 * dx}%, ${100 * dy}%) scale(${scale})`;
      frame.classList.toggle("zoomed", this.zoomed);
    }
    this.dispatchEvent(new Event("change"));
  }

  /** Return centre and scale that bring a box of the picture into the frame. */
  #own(picture, box) {
    if (!box) return { scale: 1, x: 0.5, y: 0.5 };
    const width = picture.videoWidth || picture.naturalWidth || 1;
    const height = picture.videoHeight || picture.naturalHeight || 1;
    const longer = Math.max(width, height);
    const [partX, partY] = [width / longer, height / longer]; // of the frame that the picture covers
    const [left, top, boxWidth, boxHeight] = box;
    return {
      x: 0.5 + (left + boxWidth / 2 - 0.5) * partX,
      y: 0.5 + (top + boxHeight / 2 - 0.5) * partY,
      scale: clamp(1 / (MARGIN * Math.max(boxWidth * partX, boxHeight * partY)), 1, MOST_ZOOM),
    };
  }

  #listen(frame) {
    const place = (event) => {
      const box = frame.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    const pointers = new Map();
    let moved = false;

    frame.addEventListener(
      "wheel",
      (event) => {
        // A wheel that only passes by scrolls the page: it zooms with Ctrl (a pinch on a touchpad), or once zoomed.
        if (!(event.ctrlKey || event.metaKey || event.shiftKey || this.zoomed || document.fullscreenElement)) return;
        event.preventDefault();
        const turned = event.deltaY || event.deltaX; // with Shift, some browsers turn the axis
        this.by(Math.exp(-turned * (event.deltaMode === 1 ? 0.05 : 0.0025)), ...place(event));
      },
      { passive: false },
    );
    frame.addEventListener("dblclick", (event) => {
      if (this.zoomed) this.reset();
      else this.by(2.5, ...place(event));
    });
    frame.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      pointers.set(event.pointerId, place(event));
      moved = false;
      if (this.zoomed || pointers.size > 1) frame.setPointerCapture(event.pointerId);
    });
    frame.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const now = place(event);
      const [right, down] = [now[0] - before[0], now[1] - before[1]];
      if (pointers.size === 2) {
        const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
        const spread = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]);
        this.by(spread(now) / Math.max(0.01, spread(before)), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
        moved = true;
      } else if (this.zoomed) {
        this.pan(right, down);
        moved ||= Math.hypot(right, down) > 0.004;
      }
      pointers.set(event.pointerId, now);
    });
    const release = (event) => pointers.delete(event.pointerId);
    frame.addEventListener("pointerup", release);
    frame.addEventListener("pointercancel", release);
    // The end of a drag is not a click (which plays and pauses).
    frame.addEventListener(
      "click",
      (event) => {
        if (moved) event.stopImmediatePropagation();
        moved = false;
      },
      true,
    );
  }
}
