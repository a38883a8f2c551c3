// All videos as one player with one clock.
//
// One video leads: the one that is heard, because changing its rate could be heard too. The others follow. A small
// drift is corrected by a slightly different rate. A video that has fallen far behind is waited for: where a machine
// cannot decode all of them in time, sound that stops is better than lips that are not those of the sound, and a seek
// would ask for more decoding still. One that is far ahead, which only a seek can bring about, is sought back. Videos differ in frame rate, so a step is one frame of the leader, and it lands in the middle of the frame.
import { clamp } from "./numbers.js";

const SEEK_S = 0.25; // what is further ahead is sought back
const WAIT_S = 0.12; // what is further behind is waited for, ...
const LONGEST_S = 1; // ... unless it is further behind than this, or does not come within ...
const PATIENCE_MS = 3000; // ... this time: then it is sought forward
const FAR_S = 0.012; // a larger drift is corrected by the rate, until ...
const CLOSE_S = 0.004; // ... it is smaller than this: rates that change with every frame would make pictures stutter
const NUDGES = [[0.06, 0.25], [0.02, 0.12], [0, 0.05]]; // from this drift on, so much faster or slower
const END_S = 0.05;

export class Players extends EventTarget {
  /** `items` are {name, title, figure, video, fps}; one whose video cannot be loaded leaves by itself. */
  constructor(items) {
    super();
    this.items = items;
    this.speed = 1;
    this.loop = false;
    this.passage = null; // {from, to} in seconds
    this.playing = false;
    this.meeting = null; // {at, since}: at which second videos wait for those that are behind, and since when
    this.heard = items[0]?.name ?? null;
    this.shown = null; // names that are on the screen; null: all
    for (const item of items) {
      item.video.preservesPitch = true;
      item.video.addEventListener("ended", () => this.#ended());
    }
    this.#applySound();
  }

  /** The items that are on the screen and can be played. */
  get active() {
    const found = this.items.filter((item) => !item.broken && (this.shown === null || this.shown.has(item.name)));
    return found.length ? found : this.items.filter((item) => !item.broken);
  }

  get lead() {
    const active = this.active;
    const heard = active.find((item) => item.name === this.heard);
    if (heard && !heard.video.ended) return heard;
    const running = active.filter((item) => !item.video.ended);
    return running[0] ?? heard ?? active[0];
  }

  get length() {
    return Math.max(0, ...this.items.map((item) => (Number.isFinite(item.video.duration) ? item.video.duration : 0)));
  }

  get time() {
    return this.lead ? this.lead.video.currentTime : 0;
  }

  /** Largest difference between two playing videos, in seconds. */
  get drift() {
    const times = this.active.filter((item) => !item.video.ended).map((item) => item.video.currentTime);
    return times.length ? Math.max(...times) - Math.min(...times) : 0;
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  seek(seconds) {
    const at = clamp(seconds, 0, this.length);
    if (this.meeting !== null) this.#goOn();
    for (const { video } of this.items) {
      video.playbackRate = this.speed;
      video.currentTime = Number.isFinite(video.duration) ? Math.min(at, video.duration) : at;
    }
    this.changed();
  }

  /** Move by whole frames of the leading video. */
  step(frames) {
    this.pause();
    const fps = this.lead?.fps || 25;
    const frame = Math.floor(this.time * fps + 1e-3) + frames;
    this.seek((Math.max(0, frame) + 0.5) / fps);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  pause() {
    this.playing = false;
    this.meeting = null;
    for (const { video } of this.items) video.pause();
    this.changed();
  }

  play() {
    const active = this.active;
    if (!active.length) return;
    const [from, to] = this.passage && this.loop ? [this.passage.from, this.passage.to] : [0, this.length];
    if (this.time >= to - END_S || this.time < from - END_S) this.seek(from);
    this.playing = true;
    const started = active.filter(({ video }) => !video.ended).map(({ video }) => video.play());
    Promise.all(started).then(
      () => this.#tick(),
      (error) => {
        // A pause that comes before the first frame ends play() by an AbortError; that is no refusal.
        if (error.name !== "AbortError") this.pause();
      },
    );
    this.changed();
  }

  setSpeed(speed) {
    this.speed = clamp(speed, 0.1, 2);
    for (const { video } of this.items) video.playbackRate = this.speed;
    this.changed();
  }

  /** Hear the video `name`; null: none. */
  hear(name) {
    this.heard = name;
    this.#applySound();
    this.changed();
  }

  /** Only these names are on the screen (null: all): the others rest, and are in step when they come back. */
  show(names) {
    this.shown = names === null ? null : new Set(names);
    const at = this.time;
    const active = new Set(this.active);
    for (const item of this.items) {
      if (!active.has(item)) item.video.pause();
      else if (this.playing && item.video.paused) {
        item.video.currentTime = at;
        item.video.play().catch(() => {});
      }
    }
    this.#applySound();
  }

  /** Leave out one whose file is missing or cannot be decoded. */
  drop(item) {
    item.broken = true;
    item.figure.dataset.broken = "";
    this.changed();
  }

  #applySound() {
    const wanted = this.heard;
    const active = this.active;
    const voice = wanted === null ? null : (active.find((item) => item.name === wanted) ?? active[0]);
    for (const item of this.items) item.video.muted = item !== voice;
  }

  #ended() {
    if (!this.playing || this.active.some((item) => !item.video.ended)) return;
    if (!this.loop) {
      this.pause();
      return;
    }
    this.seek(this.passage ? this.passage.from : 0);
    this.play();
  }

  #tick() {
    if (!this.playing) return;
    const lead = this.lead;
    const now = lead.video.currentTime;
    if (this.loop && this.passage && now >= this.passage.to) this.seek(this.passage.from);
    else if (this.meeting === null) this.#follow(lead, now);
    else this.#meet();
    lead.video.playbackRate = this.speed;
    this.changed();
    requestAnimationFrame(() => this.#tick());
  }

  #follow(lead, now) {
    for (const item of this.active) if (item !== lead) this.#keepUp(item.video, now);
    if (this.#late(now - WAIT_S).length) this.meeting = { at: now, since: performance.now() };
  }

  /** Those that have not come to a second. */
  #late(second) {
    return this.active.filter(({ video }) => !video.ended && !video.seeking && video.currentTime < second);
  }

  /** Let those wait that have come to the meeting, and go on when all have. */
  #meet() {
    const { at, since } = this.meeting;
    const late = this.#late(at - CLOSE_S);
    for (const item of this.active) if (!late.includes(item)) item.video.pause();
    if (performance.now() - since > PATIENCE_MS) for (const { video } of late) video.currentTime = at;
    if (!late.length) this.#goOn();
  }

  #goOn() {
    this.meeting = null;
    for (const { video } of this.active) if (this.playing && !video.ended) video.play().catch(() => {});
  }

  #keepUp(video, now) {
    if (video.ended || video.seeking) return;
    const drift = video.currentTime - now;
    const far = Math.abs(drift);
    const nudged = video.playbackRate !== this.speed;
    if (drift > SEEK_S || drift < -LONGEST_S) {
      video.playbackRate = this.speed;
      video.currentTime = now;
    } else if (far < (nudged ? CLOSE_S : FAR_S)) {
      if (nudged) video.playbackRate = this.speed;
    } else {
      const [, nudge] = NUDGES.find(([from]) => far > from);
      const rate = this.speed * (drift > 0 ? 1 - nudge : 1 + nudge);
      if (video.playbackRate !== rate) video.playbackRate = rate;
    }
  }
}
