// A blind vote: two videos at a time, names hidden, sides by chance, until the ranking is clear enough.
import { shuffled } from "./numbers.js";

const CLEAR = 2; // so many more wins settle a pair
const MOST = 3; // and so many looks at it end it in any case

/** What has been voted, what comes next, and the ranking that follows. Knows nothing of the page. */
export class Ballot {
  constructor(names) {
    this.names = names;
    this.votes = []; // {left, right, winner: "left" | "right" | "tie"}
    const pairs = names.flatMap((one, at) => names.slice(at + 1).map((other) => shuffled([one, other])));
    this.first = shuffled(pairs); // every pair once, before any is shown again
    this.pair = this.#choose();
  }

  get done() {
    return this.pair === null;
  }

  vote(winner) {
    const [left, right] = this.pair;
    this.votes.push({ left, right, winner });
    this.pair = this.#choose();
  }

  /** Names with their share of wins (a tie is half a win for both), the best first. */
  get ranking() {
    const share = (name) => {
      const own = this.votes.filter(({ left, right }) => left === name || right === name);
      const won = own.reduce((sum, vote) => sum + (vote.winner === "tie" ? 0.5 : Number(vote[vote.winner] === name)), 0);
      return { name, won, of: own.length, share: own.length ? won / own.length : 0 };
    };
    return this.names.map(share).sort((one, other) => other.share - one.share);
  }

  #choose() {
    if (this.first.length) return this.first.pop();
    const ranking = this.ranking;
    const open = [];
    for (let at = 0; at + 1 < ranking.length; at += 1) {
      const pair = [ranking[at].name, ranking[at + 1].name];
      if (!this.#settled(pair)) open.push(pair);
    }
    if (!open.length) return null;
    const [one, other] = shuffled(open)[0];
    const last = this.#of([one, other]).at(-1);
    return last.left === one ? [other, one] : [one, other]; // sides change, against a habit for one of them
  }

  #of(pair) {
    return this.votes.filter(({ left, right }) => pair.includes(left) && pair.includes(right));
  }

  #settled(pair) {
    const seen = this.#of(pair);
    const lead = seen.reduce(
      (sum, vote) => sum + (vote.winner === "tie" ? 0 : vote[vote.winner] === pair[0] ? 1 : -1),
      0,
    );
    return seen.length >= MOST || Math.abs(lead) >= CLEAR;
  }
}

/** The page's part of the vote. */
export class Vote {
  /** `box` is the panel with its buttons; `run` is {id, videos: {name: sha256}}. */
  constructor(box, run, { players, zoom, compare, link }) {
    Object.assign(this, { box, run, players, zoom, compare, link });
    this.titles = new Map(compare.figures.map((one) => [one.name, one.title]));
    this.names = players.items.map((item) => item.name);
    const on = (selector, does) => box.querySelector(selector).addEventListener("click", does);
    on(".left", () => this.choose("left"));
    on(".right", () => this.choose("right"));
    on(".tie", () => this.choose("tie"));
    on(".end", () => this.finish());
    on(".leave", () => this.leave());
  }

  get running() {
    return document.body.classList.contains("voting");
  }

  start() {
    this.ballot = new Ballot(this.names.filter((name) => !this.players.items.find((item) => item.name === name).broken));
    if (this.ballot.done) return;
    this.before = { mode: this.compare.mode, a: this.compare.a, b: this.compare.b, order: [...this.compare.order] };
    document.body.classList.add("voting");
    this.link.paused = true;
    history.replaceState(null, "", location.pathname);
    this.box.hidden = false;
    this.box.dataset.state = "asking";
    this.title = document.title;
    document.title = "Blind vote";
    this.players.loop = true;
    this.players.passage = null;
    this.#ask();
    this.box.querySelector(".left").focus();
  }

  choose(winner) {
    if (!winner || !this.running || this.box.dataset.state !== "asking") return;
    this.ballot.vote(winner);
    if (this.ballot.done) this.finish();
    else this.#ask();
  }

  /** Show the names and what was voted. */
  finish() {
    this.players.pause();
    this.#restore();
    this.box.dataset.state = "result";
    const body = this.box.querySelector("tbody");
    body.replaceChildren();
    for (const { name, won, of, share } of this.ballot.ranking) {
      const row = document.createElement("tr");
      for (const text of [this.titles.get(name), `${won} of ${of}`, `${Math.round(100 * share)} %`]) {
        const cell = document.createElement("td");
        cell.textContent = text;
        row.append(cell);
      }
      body.append(row);
    }
    const save = this.box.querySelector(".save");
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = URL.createObjectURL(new Blob([this.exported()], { type: "application/json" }));
    save.href = this.address;
    save.download = `votes-${this.run.id}-${Date.now().toString(36)}.json`;
    save.focus();
  }

  leave() {
    this.#restore();
    this.box.hidden = true;
  }

  /** The votes as JSON, for `faceorch report RUN --votes FILE`. */
  exported() {
    const { id, videos } = this.run;
    return JSON.stringify({ faceorch_votes: 1, run: id, videos, votes: this.ballot.votes }, null, 1);
  }

  #ask() {
    const [left, right] = this.ballot.pair;
    this.compare.arrange([left, right]);
    this.compare.set({ mode: "pair", a: left, b: right });
    this.players.show([left, right]);
    this.players.hear(left); // both hold the clip's sound
    this.box.querySelector(".count").textContent = `Vote ${this.ballot.votes.length + 1}`;
    this.players.seek(0);
    this.players.play();
  }

  #restore() {
    document.body.classList.remove("voting");
    document.title = this.title ?? document.title;
    this.link.paused = false;
    this.players.loop = false;
    this.compare.arrange(this.before.order);
    this.compare.set(this.before);
  }
}
