// The film strip: of thousands of images only those in sight are in the page.

import { filter, isFollowing, onChoice, open } from "./now.js";
import { brief, colourOf, spoken } from "./scale.js";
import { entries, entryOf, listen, pace, session, those } from "./store.js";
import { MARKS, atMostEvery, base, element, folder, time } from "./words.js";

const SHOT = 96;
const QUIET_MS = 200;
const QUIETEST_MS = 1000;
const strip = document.getElementById("strip");
const reel = document.getElementById("reel");
const shots = new Map(); // id -> element in sight
const labels = new Map(); // of a run of one folder's images: element in sight
let list = [];
let runs = []; // images of one folder that follow each other: {name, first, last}
let current = null;
let quiet = 0;

function refresh() {
  // nobody looks: what came is drawn when somebody does
  if (document.hidden) return;
  list = those(filter());
  reel.style.width = `${SHOT * list.length}px`;
  runs = runsOf(list);
  count();
  if (isFollowing()) bringIntoSight();
  draw();
}

function runsOf(entries) {
  const found = [];
  entries.forEach((entry, place) => {
    const name = folder(entry.name);
    if (found.at(-1)?.name === name) found.at(-1).last = place;
    else found.push({ name, first: place, last: place });
  });
  return found;
}

function count() {
  const counts = { all: 0 };
  for (const entry of entries()) {
    counts.all += 1;
    counts[entry.state] = (counts[entry.state] ?? 0) + 1;
  }
  for (const input of document.querySelectorAll("input[name=filter]")) {
    input.nextElementSibling.querySelector("b").textContent = counts[input.value] ?? 0;
  }
}

function draw() {
  const first = Math.max(0, Math.floor(strip.scrollLeft / SHOT) - 2);
  const last = Math.min(list.length, Math.ceil((strip.scrollLeft + strip.clientWidth) / SHOT) + 2);
  const inSight = new Set();
  for (let place = first; place < last; place += 1) {
    const entry = list[place];
    inSight.add(entry.id);
    let shot = shots.get(entry.id);
    if (!shot || shot.dataset.version !== String(entry.version)) {
      shot?.remove();
      shot = make(entry);
      shots.set(entry.id, shot);
      reel.append(shot);
    }
    shot.style.left = `${SHOT * place}px`;
    shot.setAttribute("aria-current", String(entry.id === current));
    shot.dataset.begins = String(place > 0 && folder(list[place - 1].name) !== folder(entry.name));
  }
  for (const [id, shot] of shots) {
    if (!inSight.has(id)) {
      shot.remove();
      shots.delete(id);
    }
  }
  drawLabels(first, last);
  clearTimeout(quiet);
  quiet = setTimeout(fetchPictures, QUIET_MS);
}

/** The name of each folder above its images; it stays in sight while any of them is. */
function drawLabels(first, last) {
  const inSight = new Set();
  for (const run of runs) {
    if (run.last < first || run.first >= last) continue;
    const key = `${run.first} ${run.last} ${run.name}`;
    inSight.add(key);
    if (labels.has(key)) continue;
    const label = element("div", "", { class: "folder", title: run.name, "aria-hidden": "true" });
    const parts = run.name.split("/");
    // patient and site, as a rule
    const lines = [parts.slice(0, -1).join(" / "), parts.at(-1) || "no folder"].filter(Boolean);
    label.append(...lines.map((line) => element("span", line)));
    label.style.left = `${SHOT * run.first}px`;
    label.style.width = `${SHOT * (run.last - run.first + 1) - 4}px`;
    labels.set(key, label);
    reel.append(label);
  }
  for (const [key, label] of labels) {
    if (!inSight.has(key)) {
      label.remove();
      labels.delete(key);
    }
  }
}

function make(entry) {
  const shot = element("button", "", {
    type: "button", class: "shot", tabindex: "-1", title: `${entry.name}\n${time(entry.acquired)}`,
    "aria-label": `${folder(entry.name)} ${base(entry.name)}, ${spoken(entry)}`,
  });
  shot.dataset.version = entry.version;
  shot.dataset.id = entry.id;
  shot.append(element("i", MARKS[entry.state]));
  const line = element("span");
  line.append(element("span", MARKS[entry.state]), element("span", brief(entry)));
  const colour = colourOf(entry);
  if (colour) line.style.boxShadow = `inset 0 -3px ${colour}`;
  shot.append(line);
  shot.addEventListener("click", () => open(entry.id));
  return shot;
}

/** Pictures of those that stay in sight: in a burst they are gone before anybody could look at them. */
function fetchPictures() {
  if (document.hidden || pace() > QUIETEST_MS) return;
  for (const [id, shot] of shots) {
    const entry = entryOf(id);
    if (shot.dataset.asked || !entry?.overlay || entry.state === "failed") continue;
    shot.dataset.asked = "yes";
    const image = element("img", "", { alt: "", src: `/api/images/${id}/thumbnail?version=${entry.version}&run=${session.run}` });
    image.decode().then(() => shot.firstChild.replaceWith(image), () => {});
  }
}

function bringIntoSight() {
  const place = list.findIndex((entry) => entry.id === current);
  if (place < 0) return;
  const left = SHOT * place;
  if (left < strip.scrollLeft || left + SHOT > strip.scrollLeft + strip.clientWidth) {
    strip.scrollLeft = left - (strip.clientWidth - SHOT) / 2;
  }
}

let asked = 0;
strip.addEventListener("scroll", () => { asked ||= requestAnimationFrame(() => { asked = 0; draw(); }); });
strip.addEventListener("wheel", (event) => {
  if (Math.abs(event.deltaY) > Math.abs(event.deltaX)) {
    event.preventDefault();
    strip.scrollLeft += event.deltaY;
  }
}, { passive: false });
for (const input of document.querySelectorAll("input[name=filter]")) input.addEventListener("change", refresh);
new ResizeObserver(() => { refresh(); bringIntoSight(); }).observe(strip);
onChoice((id) => {
  current = id;
  bringIntoSight();
  draw();
});
const refreshSoon = atMostEvery(pace, refresh);
listen((changed) => { if (changed.length || !list.length) refreshSoon(); });
document.addEventListener("visibilitychange", refreshSoon);
