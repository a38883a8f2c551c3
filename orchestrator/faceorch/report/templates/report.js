"use strict";
(() => {
  // One clock for all players: the first video leads. Small drift is corrected by the rate, large drift by a seek:
  // seeking on every frame would stall the picture. Videos differ in frame rate, so steps are steps in time.
  const SEEK_S = 0.25, NUDGE_S = 0.03, NUDGE_RATE = 0.06;
  const videos = [...document.querySelectorAll("video")];
  const bar = document.querySelector(".bar");
  if (!bar || videos.length === 0) return;
  const play = bar.querySelector("#play"), seek = bar.querySelector("#seek"), clock = bar.querySelector("#clock");
  const sound = bar.querySelector("#sound"), loop = bar.querySelector("#loop");
  const lead = videos[0];
  const length = () => Math.max(0, ...videos.map((v) => (Number.isFinite(v.duration) ? v.duration : 0)));
  const step = () => 1 / Number(lead.dataset.fps || 25);
  const text = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(2).padStart(5, "0")}`;

  const show = () => {
    seek.max = String(length());
    seek.value = String(lead.currentTime);
    seek.setAttribute("aria-valuetext", text(lead.currentTime));
    clock.textContent = `${text(lead.currentTime)} / ${text(length())}`;
    play.textContent = lead.paused ? "Play" : "Pause";
  };
  const to = (s) => {
    const at = Math.min(Math.max(0, s), length());
    for (const v of videos) { v.playbackRate = 1; v.currentTime = Math.min(at, v.duration || at); }
    show();
  };
  const pause = () => { for (const v of videos) v.pause(); show(); };
  const start = () => {
    if (lead.currentTime >= length() - 0.05) to(0);
    Promise.all(videos.map((v) => v.play())).then(() => { tick(); show(); }, pause);
  };
  const tick = () => {
    if (lead.paused) return;
    for (const v of videos.slice(1)) {
      const drift = v.currentTime - lead.currentTime;
      if (v.ended || Math.abs(drift) < NUDGE_S) v.playbackRate = 1;
      else if (Math.abs(drift) > SEEK_S) { v.playbackRate = 1; v.currentTime = lead.currentTime; }
      else v.playbackRate = drift > 0 ? 1 - NUDGE_RATE : 1 + NUDGE_RATE;
    }
    show();
    requestAnimationFrame(tick);
  };
  const hear = (index) => videos.forEach((v, n) => { v.muted = n !== index; });

  play.addEventListener("click", () => (lead.paused ? start() : pause()));
  bar.querySelector("#back").addEventListener("click", () => { pause(); to(lead.currentTime - step()); });
  bar.querySelector("#forth").addEventListener("click", () => { pause(); to(lead.currentTime + step()); });
  seek.addEventListener("input", () => to(Number(seek.value)));
  sound.addEventListener("change", () => hear(Number(sound.value)));
  lead.addEventListener("ended", () => { if (loop.checked) { to(0); start(); } else pause(); });
  for (const v of videos) v.addEventListener("click", () => (lead.paused ? start() : pause()));
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, button, summary, a") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " ") { event.preventDefault(); if (lead.paused) start(); else pause(); }
    else if (event.key === "ArrowLeft") { pause(); to(lead.currentTime - step()); }
    else if (event.key === "ArrowRight") { pause(); to(lead.currentTime + step()); }
  });
  hear(0);
  let ready = 0;
  const known = () => {
    ready += 1;
    show();
    if (ready === videos.length) document.documentElement.dataset.videos = `${ready} ready, ${length().toFixed(2)} s`;
  };
  for (const v of videos) { if (v.readyState >= 1) known(); else v.addEventListener("loadedmetadata", known, { once: true }); }
  show();
})();
