// Brings the parts together: what each button and key does.
import { clockText } from "./numbers.js";
import { Players } from "./players.js";
import { Zoom } from "./zoom.js";
import { Compare } from "./compare.js";
import { Wave } from "./wave.js";
import { Link, restore } from "./link.js";
import { fillHelp, listen } from "./keys.js";
import { Vote } from "./vote.js";
import { setUpTables } from "./tables.js";

const SPEEDS = [0.1, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2];

const $ = (selector) => document.querySelector(selector);
const on = (selector, event, does) => $(selector)?.addEventListener(event, does);

function boxesOf(figure) {
  const boxes = {};
  for (const region of ["face", "eyes", "mouth"]) {
    const text = figure.getAttribute(`data-${region}`);
    if (text) boxes[region] = text.split(",").map(Number);
  }
  return boxes;
}

function setUpLooking() {
  const stage = $("#stage");
  const figures = [...stage.querySelectorAll("figure[data-name]")].map((figure) => ({
    name: figure.dataset.name,
    title: figure.dataset.title,
    figure,
    picture: figure.querySelector("video, img"),
  }));
  const pictures = figures
    .filter((one) => one.picture)
    .map(({ figure, picture }) => ({ frame: figure.querySelector(".frame"), picture, boxes: boxesOf(figure) }));
  const items = figures
    .filter((one) => one.picture instanceof HTMLVideoElement)
    .map((one) => ({ ...one, video: one.picture, fps: Number(one.figure.dataset.fps) }));
  if (!items.length) return;

  const players = new Players(items);
  const zoom = new Zoom(pictures);
  const compare = new Compare(stage, figures, $("#wipe"));
  const wave = $("#wave") ? new Wave($("#wave"), $("#words"), players) : null;
  const state = { players, zoom, compare };
  const link = new Link(state);
  const run = JSON.parse($("#run").textContent);
  const vote = new Vote($("#vote"), run, { ...state, link });

  setUpPlayer(players);
  setUpViews(zoom, compare, players);
  setUpKeys({ ...state, vote, wave });
  on("#start-vote", "click", () => vote.start());
  on("#link", "click", () => copyLink(link));
  on("#full", "click", () => toggleFullscreen());
  compare.addEventListener("change", () => players.show(compare.shown));
  window.addEventListener("hashchange", () => {
    if (!link.paused) restore(location.hash, state);
  });
  whenReady(players, () => {
    restore(location.hash, state);
    link.ready = true;
  });
  window.faceorch = { ...state, vote, link }; // for tests and the curious
}

function setUpPlayer(players) {
  const seek = $("#seek");
  on("#play", "click", () => players.toggle());
  on("#back", "click", () => players.step(-1));
  on("#forth", "click", () => players.step(1));
  on("#seek", "input", () => players.seek(Number(seek.value)));
  on("#sound", "change", (event) => players.hear(event.target.value || null));
  on("#speed", "change", (event) => players.setSpeed(Number(event.target.value)));
  on("#loop", "change", (event) => {
    players.loop = event.target.checked;
    players.changed();
  });
  on("#from", "click", () => setPassage(players, "from"));
  on("#to", "click", () => setPassage(players, "to"));
  on("#whole", "click", () => {
    players.passage = null;
    players.changed();
  });
  for (const item of players.items) {
    item.figure.querySelector(".frame").addEventListener("click", () => players.toggle());
  }
  players.addEventListener("change", () => {
    const { length, time, speed, passage } = players;
    seek.max = String(length);
    seek.value = String(time);
    seek.setAttribute("aria-valuetext", clockText(time));
    $("#clock").textContent = `${clockText(time)} / ${clockText(length)}`;
    $("#play").textContent = players.playing ? "Pause" : "Play";
    $("#loop").checked = players.loop;
    $("#whole").hidden = !passage;
    if (players.heard !== null) $("#sound").value = players.heard;
    const box = $("#speed");
    const known = [...box.options].find((option) => Number(option.value) === speed);
    if (known) box.value = known.value;
  });
}

/** Begin or end the looped passage here. */
function setPassage(players, edge) {
  const { time, length } = players;
  const { from, to } = players.passage ?? { from: 0, to: length };
  const [first, last] = edge === "from" ? [time, to > time ? to : length] : [from < time ? from : 0, time];
  if (last - first < 0.02) return;
  players.passage = { from: first, to: last };
  players.loop = true;
  players.changed();
}

function setUpViews(zoom, compare, players) {
  for (const button of document.querySelectorAll("[data-region]")) {
    const region = button.dataset.region || null;
    button.hidden = region !== null && !zoom.regions.includes(region);
    button.addEventListener("click", () => zoom.show(region));
  }
  on("#in", "click", () => zoom.by(1.5));
  on("#out", "click", () => zoom.by(1 / 1.5));
  for (const button of document.querySelectorAll("[data-mode-button]")) {
    button.addEventListener("click", () => compare.set({ mode: button.dataset.modeButton }));
  }
  on("#a", "change", (event) => compare.set({ a: event.target.value }));
  on("#b", "change", (event) => compare.set({ b: event.target.value }));
  on("#swap", "click", () => compare.swap());
  for (const { name, figure, picture } of compare.figures) {
    for (const take of figure.querySelectorAll("[data-take]")) {
      // In a page of one file, the video is there once: its address is lent to the link when it is needed.
      take.addEventListener("click", () => {
        take.href = picture[take.dataset.take];
      });
    }
    figure.querySelector(".earlier")?.addEventListener("click", () => compare.move(name, -1));
    figure.querySelector(".later")?.addEventListener("click", () => compare.move(name, 1));
    figure.querySelector(".alone")?.addEventListener("click", () => {
      const back = compare.mode === "solo";
      compare.set(back ? { mode: "all" } : { mode: "solo", a: name });
      if (!back && players.items.some((item) => item.name === name) && players.heard !== null) players.hear(name);
    });
  }
  const show = () => {
    for (const button of document.querySelectorAll("[data-region]")) {
      const own = (button.dataset.region || null) === zoom.region && (zoom.region !== null || !zoom.zoomed);
      button.setAttribute("aria-pressed", String(own));
    }
    for (const button of document.querySelectorAll("[data-mode-button]")) {
      button.setAttribute("aria-pressed", String(button.dataset.modeButton === compare.mode));
    }
    $("#a").value = compare.a;
    $("#b").value = compare.b;
    $("#pick").hidden = !(compare.two || compare.mode === "solo");
    $("#pick-b").hidden = $("#swap").hidden = !compare.two;
  };
  zoom.addEventListener("change", show);
  compare.addEventListener("change", show);
  show();
}

function setUpKeys({ players, zoom, compare, vote }) {
  const videos = players.items.map((item) => item.name);
  const faster = (by) => {
    const at = SPEEDS.findIndex((speed) => speed >= players.speed);
    players.setSpeed(SPEEDS[Math.min(Math.max(at + by, 0), SPEEDS.length - 1)]);
  };
  const mode = (name) => compare.set({ mode: compare.mode === name ? "all" : name });
  const help = $("#help");
  const free = (does) => (key) => (vote.running ? undefined : does(key)); // not while names are hidden
  const keys = [
    { keys: [" "], does: () => players.toggle(), says: "play, pause" },
    { keys: ["ArrowLeft", "ArrowRight"], does: (key) => players.step(key === "ArrowLeft" ? -1 : 1), says: "one frame back, on" },
    {
      keys: ["Shift+ArrowLeft", "Shift+ArrowRight"],
      does: (key) => players.seek(players.time + (key.endsWith("Left") ? -1 : 1)),
      says: "one second back, on",
    },
    { keys: ["Home", "End"], does: (key) => players.seek(key === "Home" ? 0 : players.length), says: "to the beginning, the end" },
    { keys: ["<", ">"], does: (key) => faster(key === "<" ? -1 : 1), says: "slower, faster" },
    { keys: ["[", "]"], does: (key) => setPassage(players, key === "[" ? "from" : "to"), says: "the looped passage begins, ends here" },
    {
      keys: ["l"],
      does: () => {
        players.loop = !players.loop;
        players.changed();
      },
      says: "loop on, off",
    },
    { keys: ["u"], does: free(() => nextSound(players)), says: "hear the next video" },
    { keys: ["m", "e", "f"], does: (key) => zoom.show({ m: "mouth", e: "eyes", f: "face" }[key]), says: "zoom to mouth, eyes, face (where they are known)" },
    { keys: ["+", "-", "0"], does: (key) => (key === "0" ? zoom.show(null) : zoom.by(key === "+" ? 1.25 : 0.8)), says: "zoom in, out, whole picture" },
    { keys: ["w", "d"], does: free((key) => mode(key === "w" ? "wipe" : "difference")), says: "wipe between two, their difference" },
    { keys: ["x"], does: free(() => compare.swap()), says: "swap the two" },
    { keys: ["s"], does: free(() => mode("solo")), says: "one video alone" },
    {
      keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"],
      does: (key) => {
        if (vote.running) vote.choose(["left", "tie", "right"][Number(key) - 1]);
        else if (videos[Number(key) - 1]) compare.set({ mode: "solo", a: videos[Number(key) - 1] });
      },
      says: "this video alone; in a vote: left, no difference, right",
    },
    { keys: ["a"], does: free(() => compare.set({ mode: "all" })), says: "all videos" },
    { keys: ["g"], does: () => toggleFullscreen(), says: "full screen" },
    { keys: ["?"], does: () => help.showModal(), says: "this help" },
  ];
  fillHelp(help.querySelector("tbody"), keys);
  listen(keys);
  on("#keys", "click", () => help.showModal());
  on("#help .close", "click", () => help.close());
}

function nextSound(players) {
  const names = [...players.items.filter((item) => !item.broken).map((item) => item.name), null];
  players.hear(names[(names.indexOf(players.heard) + 1) % names.length]);
  if (players.heard === null) $("#sound").value = "";
}

function toggleFullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else $("#looking").requestFullscreen?.();
}

async function copyLink(link) {
  link.state.players.pause();
  link.write();
  const button = $("#link");
  const said = button.textContent;
  try {
    await navigator.clipboard.writeText(location.href);
    button.textContent = "Copied";
  } catch {
    button.textContent = "It is in the address bar";
  }
  setTimeout(() => {
    button.textContent = said;
  }, 2000);
}

/** Call `then` once every video can be played or has failed; the page says so, for tests. */
function whenReady(players, then) {
  let open = players.items.length;
  const one = () => {
    open -= 1;
    players.changed();
    if (open) return;
    const ready = players.items.filter((item) => !item.broken).length;
    document.documentElement.dataset.videos = `${ready} ready, ${players.length.toFixed(2)} s`;
    then();
  };
  for (const item of players.items) {
    if (item.video.error) {
      players.drop(item);
      one();
    } else if (item.video.readyState >= HTMLMediaElement.HAVE_METADATA) one();
    else {
      item.video.addEventListener("loadedmetadata", one, { once: true });
      item.video.addEventListener("error", () => (players.drop(item), one()), { once: true });
    }
  }
}

setUpTables(document);
if ($("#stage")) setUpLooking();
