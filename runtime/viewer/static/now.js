// The view Now: which image is shown. One image is loaded at a time; what comes meanwhile waits.

import { byAcquisition } from "./order.js";
import * as stage from "./stage.js";
import { entryOf, listen, newest, pace, session, those } from "./store.js";
import { say } from "./verdict.js";
import { atMostEvery } from "./words.js";

// an image that takes longer to load leaves the screen empty meanwhile, lest the one before it be taken for it
const SLOW_MS = 400;
const at = (id) => document.getElementById(id);
let following = true;
let pending = null; // the id of a new image that is about to be shown
let current = null; // the id chosen
let slice = 0;
let loading = false;
let again = false;
let asked = ""; // id, version and slice of what is on the stage, or on its way there
const chosen = new Set();

/** Call with the id of the image that was chosen. */
export function onChoice(callback) {
  chosen.add(callback);
}

/** Show one image and stay with it. */
export function open(id) {
  follow(false);
  choose(id);
}

/** Previous (-1) or next (1) of those that the filter shows, in the order of acquisition. */
export function step(by) {
  const list = those(filter());
  const entry = entryOf(current);
  let to = list.length - 1;
  if (entry) {
    const place = list.findIndex((each) => byAcquisition(each, entry) >= 0);
    // where the filter hides the image itself, its neighbours are still to the left and the right
    const past = place < 0 ? list.length : place;
    to = by < 0 ? past - 1 : past + (list[past]?.id === current ? 1 : 0);
  }
  to = Math.min(Math.max(to, 0), list.length - 1);
  if (list[to]) open(list[to].id);
}

export function follow(on) {
  following = on;
  pending = null;
  at("follow").setAttribute("aria-pressed", String(on));
  if (on && newest()) choose(newest().id);
}

export const isFollowing = () => following;
export const filter = () => document.querySelector("input[name=filter]:checked").value;

/** Take another image; `number` of a slice, counted from 0. */
function choose(id, number = 0) {
  current = id;
  slice = number;
  for (const callback of chosen) callback(id);
  load();
}

async function load() {
  again = loading;
  if (loading) return;
  loading = true;
  const entry = entryOf(current);
  asked = entry ? keyOf(entry) : "";
  if (entry) await present(entry, slice);
  loading = false;
  if (again) load();
}

/** Show an image and all that is said of it in one step: a name never stands beside another image's picture. */
async function present(entry, number) {
  const isOther = () => at("stage").dataset.shown !== entry.id;
  const slow = setTimeout(() => { if (isOther()) showNothing(entry, "loading"); }, SLOW_MS);
  try {
    const hasNone = entry.state === "failed" || (entry.state === "waiting" && !entry.overlay);
    const found = hasNone ? null : await fetchResult(entry, number);
    if (found?.picture) {
      stage.show(entry, found.record, found.picture, found.map, found.plain);
      at("nothing").hidden = true;
      at("nothing").textContent = "";
      say(entry, found.record, number, { goTo });
    } else {
      showNothing(entry, "no picture");
    }
    document.documentElement.dataset.shown = entry.id;
  } catch {
    // the connection; the next word of the server brings it again
    asked = "";
    if (isOther()) showNothing(entry, "no connection to the watch");
  } finally {
    clearTimeout(slow);
  }
}

function showNothing(entry, why) {
  stage.clear();
  at("nothing").hidden = false;
  at("nothing").textContent = `${entry.name}: ${why}`;
  say(entry, null, 0, { goTo });
}

/** Fetch record, picture and map; `picture` is null where there is none. */
async function fetchResult(entry, number) {
  const address = `/api/images/${entry.id}`;
  // versions, which begin anew with each server, keep an earlier picture of the same image from being taken for this one
  const ask = `?slice=${number}&version=${entry.version}&run=${session.run}`;
  const [record, frame, map] = await Promise.all([
    fetch(address).then((answer) => (answer.ok ? answer.json() : null)),
    picture(`${address}/frame${ask}`).catch(() => null),
    entry.map ? fetch(`${address}/map${ask}`).then((answer) => (answer.ok ? answer.arrayBuffer() : null)) : null,
  ]);
  const plain = frame === null;
  const shown = plain && entry.overlay ? await picture(`${address}/overlay${ask}`).catch(() => null) : frame;
  return { record, map, plain, picture: record && shown };
}

function picture(address) {
  const image = new Image();
  image.src = address;
  return image.decode().then(() => image);
}

const keyOf = (entry) => `${entry.id} ${entry.version} ${slice}`;

function goTo(entry, region) {
  if (region.slice !== null && region.slice !== slice) choose(entry.id, region.slice);
  stage.goTo(region.x_um, region.y_um, region.size_um);
}

const showPending = atMostEvery(pace, () => {
  if (!following || document.hidden || pending === null) return;
  const id = pending;
  pending = null;
  if (id !== current && entryOf(id)) choose(id);
});
document.addEventListener("visibilitychange", showPending);

listen((changed, news) => {
  if (following && news) pending = news.id;
  const entry = entryOf(current);
  if (!entry && newest()) choose(newest().id);
  else if (pending !== null) showPending();
  if (entry && asked !== keyOf(entry)) load();
});

for (const input of document.querySelectorAll("input[name=view]")) {
  input.addEventListener("change", () => stage.setMode(input.value));
}
at("opacity").addEventListener("input", () => {
  const percent = Number(at("opacity").value);
  at("opacity-said").textContent = `${percent} %`;
  stage.setOpacity(percent / 100);
});
at("previous").addEventListener("click", () => step(-1));
at("next").addEventListener("click", () => step(1));
at("follow").addEventListener("click", () => follow(!following));
at("closer").addEventListener("click", () => stage.zoom(1.4));
at("further").addEventListener("click", () => stage.zoom(1 / 1.4));
at("fit").addEventListener("click", stage.fit);
at("shallower").addEventListener("click", () => choose(current, slice - 1));
at("deeper").addEventListener("click", () => choose(current, slice + 1));
