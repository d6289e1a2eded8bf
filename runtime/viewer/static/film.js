// The film strip: of thousands of images only those in sight are in the page.

import { colourOf } from "./colours.js";
import { filter, isFollowing, onChoice, open } from "./now.js";
import { entries, entryOf, highest, listen, pace, session, those } from "./store.js";
import { MARKS, atMostEvery, base, element, score, time } from "./words.js";

const SHOT = 96;
const QUIET_MS = 200;
const QUIETEST_MS = 1000;
const strip = document.getElementById("strip");
const reel = document.getElementById("reel");
const shots = new Map(); // id -> element in sight
let list = [];
let current = null;
let quiet = 0;

function refresh() {
  // nobody looks: what came is drawn when somebody does
  if (document.hidden) return;
  list = those(filter());
  reel.style.width = `${SHOT * list.length}px`;
  count();
  if (isFollowing()) strip.scrollLeft = strip.scrollWidth;
  draw();
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
  }
  for (const [id, shot] of shots) {
    if (!inSight.has(id)) {
      shot.remove();
      shots.delete(id);
    }
  }
  clearTimeout(quiet);
  quiet = setTimeout(fetchPictures, QUIET_MS);
}

function make(entry) {
  const said = entry.score === null ? entry.state : `score ${score(entry.score)}`;
  const shot = element("button", "", {
    type: "button", class: "shot", tabindex: "-1", title: `${entry.name}\n${time(entry.at)}`, "aria-label": `${base(entry.name)}, ${said}`,
  });
  shot.dataset.version = entry.version;
  shot.dataset.id = entry.id;
  shot.append(element("i", MARKS[entry.state]));
  const line = element("span");
  line.append(element("span", MARKS[entry.state]), element("span", entry.score === null ? entry.state : score(entry.score)));
  if (entry.score !== null) line.style.boxShadow = `inset 0 -3px ${colourOf(entry.score, highest())}`;
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
new ResizeObserver(refresh).observe(strip);
onChoice((id) => {
  current = id;
  bringIntoSight();
  draw();
});
const refreshSoon = atMostEvery(pace, refresh);
listen((changed) => { if (changed.length || !list.length) refreshSoon(); });
document.addEventListener("visibilitychange", refreshSoon);
