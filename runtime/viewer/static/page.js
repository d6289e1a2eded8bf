// The page: its connection to the server, its views, its keys.

import "./film.js";
import { follow, step } from "./now.js";
import * as stage from "./stage.js";
import { entries, session, takeAll, takeSome } from "./store.js";
import * as study from "./study.js";
import * as watch from "./watch.js";

const at = (id) => document.getElementById(id);
const VIEWS = ["now", "session", "health"];
const AGAIN_MS = 1000;
// the server says a word at least this often
const SILENCE_MS = 25000;
let source = null;
let silence = 0;

async function connect() {
  say("connecting", "lost");
  try {
    const answer = await fetch("/api/session");
    if (!answer.ok) throw new Error(answer.status === 401 ? await answer.text() : "no answer");
    takeAll(await answer.json());
    at("notice").textContent = session.notice;
  } catch (error) {
    say(error.message.startsWith("This page") ? error.message : "no connection to the watch; trying again", "lost");
    setTimeout(connect, AGAIN_MS);
    return;
  }
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
    say("no connection to the watch; trying again", "lost");
    setTimeout(connect, AGAIN_MS);
  });
}

function awaitWord() {
  clearTimeout(silence);
  silence = setTimeout(() => { source.close(); connect(); }, SILENCE_MS);
}

function standing() {
  const counts = session.health?.counts ?? {};
  const rate = session.health ? `${session.health.images_per_second.toFixed(1)} images/s` : "";
  say(`${rate}, ${counts.waiting ?? 0} waiting, ${counts.scored ?? 0} scored, ${counts.withheld ?? 0} withheld, ${counts.failed ?? 0} failed`, "live");
  at("nothing").hidden = entries().length > 0 && at("stage").dataset.shown !== undefined;
}

function say(text, state) {
  const line = at("standing");
  if (line.textContent !== text) line.textContent = text;
  line.dataset.state = state;
}

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

const PANS = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
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
