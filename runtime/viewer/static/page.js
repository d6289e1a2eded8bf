// The page: its connection to the server, its views, its keys.

import "./film.js";
import { follow, step } from "./now.js";
import * as stage from "./stage.js";
import { isBusy, session, takeAll, takeSome } from "./store.js";
import * as study from "./study.js";
import * as watch from "./watch.js";
import { time } from "./words.js";

const at = (id) => document.getElementById(id);
const VIEWS = ["now", "session", "health"];
const AGAIN_MS = 1000;
// the server says a word at least this often
const SILENCE_MS = 25000;
// below it counts are not called old
const OLD_S = 3;
// how often counts are told of while images wait, see BUSY_PAUSE_S of the server
const BUSY_S = 10;
let source = null;
let silence = 0;

async function connect() {
  try {
    const answer = await fetch("/api/session");
    if (!answer.ok) throw new Error(answer.status === 401 ? await answer.text() : "no answer");
    takeAll(await answer.json());
  } catch (error) {
    lost(error.message.startsWith("This page") ? error.message : "");
    setTimeout(connect, AGAIN_MS);
    return;
  }
  standing();
  listen();
}

function listen() {
  source?.close();
  source = new EventSource(`/api/events?run=${session.run}&since=${session.version}`);
  source.addEventListener("update", (event) => {
    takeSome(JSON.parse(event.data));
    standing();
    awaitWord();
  });
  source.addEventListener("reload", () => { source.close(); connect(); });
  source.addEventListener("open", awaitWord);
  source.addEventListener("error", () => {
    source.close();
    clearTimeout(silence);
    lost("");
    setTimeout(connect, AGAIN_MS);
  });
}

function awaitWord() {
  clearTimeout(silence);
  silence = setTimeout(() => { source.close(); connect(); }, SILENCE_MS);
}

let lostAt = 0;

/** The server does not answer: what is shown stays, and is called what it is. */
function lost(why) {
  lostAt ||= Date.now() / 1000;
  at("lost").textContent = why || `No connection to the watch since ${time(lostAt)}: it has ended, or this machine cannot reach it. `
    + "No new image appears, and counts are those of that time. Trying again.";
  at("lost").hidden = false;
  say("no connection to the watch; trying again", "lost");
}

/** How the watch stands, by what the server told last. */
function standing() {
  const health = session.health;
  if (!health) return;
  lostAt = 0;
  at("lost").hidden = true;
  const counts = health.counts;
  const age = health.counts_age_s + (performance.now() - session.healthAt) / 1000;
  // without a backlog every change is told at once
  const old = isBusy() && age >= OLD_S ? `; counts ${Math.round(age)} s old, refreshed every ${BUSY_S} s` : "";
  const line = `${health.images_per_second.toFixed(1)} images/s, ${counts.waiting} waiting, ${counts.scored} scored, ${counts.withheld} withheld, ${counts.failed} failed${old}`;
  say(line, health.stuck ? "stuck" : "live");
}

function say(text, state) {
  const line = at("standing");
  if (line.textContent !== text) line.textContent = text;
  line.dataset.state = document.documentElement.dataset.link = state;
}

setInterval(() => { if (at("standing").dataset.state === "live" && isBusy() && !document.hidden) standing(); }, 1000);

function view(name, focus = false) {
  for (const each of VIEWS) {
    const on = each === name;
    at(each).hidden = !on;
    at(`tab-${each}`).setAttribute("aria-selected", String(on));
    at(`tab-${each}`).tabIndex = on ? 0 : -1;
    if (on && focus) at(`tab-${each}`).focus();
  }
  at("film").hidden = name === "health";
  study.show(name === "session", () => view("now"));
  watch.show(name === "health", () => view("now"));
}

for (const name of VIEWS) {
  at(`tab-${name}`).addEventListener("click", () => view(name));
  at(`tab-${name}`).addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    view(VIEWS[(VIEWS.indexOf(name) + by + VIEWS.length) % VIEWS.length], true);
  });
}

// A control that was clicked gives the focus back, so that the arrow keys move through the images; one that was reached
// by the keyboard keeps it, and its arrow keys.
let byPointer = false;
document.addEventListener("pointerdown", () => { byPointer = true; }, true);
document.addEventListener("keydown", () => { byPointer = false; }, true);
document.addEventListener("focusin", (event) => {
  if (byPointer && event.target.matches("[role=tab], input[type=radio]")) event.target.blur();
});
document.addEventListener("change", (event) => { if (byPointer && event.target.matches("input[type=range]")) event.target.blur(); });

const PANS = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const onStage = event.target === at("stage");
  if (event.shiftKey && onStage && PANS[event.key]) stage.pan(...PANS[event.key]);
  else if (event.key === "ArrowLeft" && !event.shiftKey) step(-1);
  else if (event.key === "ArrowRight" && !event.shiftKey) step(1);
  else if (event.key === "+" || event.key === "=") stage.zoom(1.4);
  else if (event.key === "-") stage.zoom(1 / 1.4);
  else if (event.key === "0") stage.fit();
  else if (event.key === "f") follow(true);
  else if (["1", "2", "3"].includes(event.key)) document.querySelectorAll("input[name=view]")[Number(event.key) - 1].click();
  else return;
  event.preventDefault();
});

function theme(name) {
  document.documentElement.dataset.theme = name;
  at("theme").textContent = name === "dark" ? "Light" : "Dark";
  localStorage.setItem("inflamap-theme", name);
}
theme(localStorage.getItem("inflamap-theme") === "light" ? "light" : "dark");
at("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));

view("now");
connect();
