// The view Now: which image is shown, and what is said of it. One image is loaded at a time; what comes meanwhile waits.

import { COLOURS } from "./colours.js";
import * as stage from "./stage.js";
import { entryOf, highest, listen, newest, pace, session, those } from "./store.js";
import { atMostEvery, element, score, time, um } from "./words.js";

const at = (id) => document.getElementById(id);
let following = true;
let current = null; // the id chosen
let slice = 0;
let loading = false;
let again = false;
let asked = ""; // id, version and slice of what is on the stage, or on its way there
let record = null;
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

/** Previous (-1) or next (1) of those that the filter shows. */
export function step(by) {
  const list = those(filter());
  const place = list.findIndex((entry) => entry.id === current);
  const to = place < 0 ? list.length - 1 : Math.min(Math.max(place + by, 0), list.length - 1);
  if (list[to]) open(list[to].id);
}

export function follow(on) {
  following = on;
  at("follow").setAttribute("aria-pressed", String(on));
  const last = lastToShow();
  if (on && last) choose(last.id);
}

export const isFollowing = () => following;
export const filter = () => document.querySelector("input[name=filter]:checked").value;

/** Take another image; `slice` of a stack. */
function choose(id, number = 0) {
  current = id;
  slice = number;
  for (const callback of chosen) callback(id);
  load();
}

function lastToShow() {
  const last = newest();
  // one that waits to be scored anew is not news
  return last && last.state === "waiting" ? those("all").findLast((entry) => entry.state !== "waiting") ?? last : last;
}

async function load() {
  again = loading;
  if (loading) return;
  loading = true;
  const entry = entryOf(current);
  asked = entry ? keyOf(entry) : "";
  try {
    if (entry) await present(entry, slice);
  } catch {
    // the connection; the next word of the server brings it again
    asked = "";
  }
  loading = false;
  if (again) load();
}

async function present(entry, number) {
  say(entry, null);
  if (entry.state === "failed" || (entry.state === "waiting" && !entry.overlay)) {
    stage.clear();
    record = null;
  } else {
    await present_result(entry, number);
  }
  at("nothing").hidden = stageHolds();
  at("nothing").textContent = stageHolds() ? "" : `${entry.name}: no picture`;
  say(entry, record);
  document.documentElement.dataset.shown = entry.id;
}

async function present_result(entry, number) {
  const address = `/api/images/${entry.id}`;
  // versions, which begin anew with each server, keep an earlier picture of the same image from being taken for this one
  const ask = `?slice=${number}&version=${entry.version}&run=${session.run}`;
  const [found, image, map] = await Promise.all([
    fetch(address).then((answer) => (answer.ok ? answer.json() : null)),
    picture(`${address}/frame${ask}`).catch(() => null),
    entry.map ? fetch(`${address}/map${ask}`).then((answer) => (answer.ok ? answer.arrayBuffer() : null)) : null,
  ]);
  record = found;
  const plain = image === null;
  const instead = plain && entry.overlay ? await picture(`${address}/overlay${ask}`).catch(() => null) : image;
  if (!found || !instead) {
    stage.clear();
    return;
  }
  stage.show(entry, found, instead, map, plain);
}

function picture(address) {
  const image = new Image();
  image.src = address;
  return image.decode().then(() => image);
}

const keyOf = (entry) => `${entry.id} ${entry.version} ${slice}`;

/** A grade by its name, which may be nothing but its number. */
function gradeName(grade) {
  const name = session.grades[grade] ?? String(grade);
  return name === String(grade) ? `grade ${grade}` : name;
}

const stageHolds = () => at("stage").dataset.shown !== undefined;

/** What is said of the image. */
function say(entry, found) {
  at("score").textContent = entry.score === null ? (entry.state === "waiting" ? "…" : "–") : score(entry.score);
  at("grade").textContent = entry.score === null ? entry.state : gradeName(entry.grade);
  const warnings = [entry.reason, ...(found?.notes ?? [])].filter(Boolean);
  if (entry.state === "failed") warnings.unshift("This image could not be scored.");
  at("warnings").textContent = warnings.join("\n");
  at("warnings").hidden = !warnings.length;
  at("retry").hidden = entry.state === "waiting" || entry.state === "scored";
  at("retry").dataset.id = entry.id;
  const slices = found?.image?.slices ?? 1;
  at("slices").hidden = slices < 2;
  at("slice").textContent = `slice ${slice + 1} of ${slices}`;
  at("shallower").disabled = slice <= 0;
  at("deeper").disabled = slice >= slices - 1;
  facts(entry, found);
  legend();
}

function facts(entry, found) {
  const lines = [["Image", entry.name], ["Time", time(entry.at)], ["State", entry.state]];
  if (entry.withheld) lines.push(["Left out", `${(100 * entry.withheld).toFixed(entry.withheld < 0.01 ? 1 : 0)} % of the cells`]);
  if (found) {
    const image = found.image;
    lines.push(["Size", `${image.width}×${image.height} px`]);
    lines.push(["Scale", image.um_per_px ? `${image.um_per_px} µm/px, by ${image.um_per_px_from}` : "unknown"]);
    if (image.z_um !== null) lines.push(["Depth", um(image.z_um)]);
    if (image.x_mm !== null) lines.push(["Stage", `x ${image.x_mm} mm, y ${image.y_mm} mm`]);
  }
  if (entry.engine) lines.push(["Engine", entry.engine], ["Model", `${found?.model?.name ?? ""} ${entry.model.slice(0, 8)}`]);
  const list = at("facts");
  list.replaceChildren(...lines.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  const worst = found?.score?.worst_region;
  if (worst) {
    const go = element("button", `${score(worst.mean)} at ${um(worst.x_um)}, ${um(worst.y_um)}`, { type: "button", class: "link" });
    go.addEventListener("click", () => {
      if (worst.slice !== null && worst.slice !== slice) choose(entry.id, worst.slice);
      stage.goTo(worst.x_um, worst.y_um, worst.size_um);
    });
    const place = element("dd");
    place.append(go);
    list.append(element("dt", "Worst"), place);
  }
}

let legendOf = "";
function legend() {
  const grades = session.grades;
  if (legendOf === grades.join("\n")) return;
  legendOf = grades.join("\n");
  const bar = document.createElement("canvas");
  [bar.width, bar.height] = [1, 256];
  const context = bar.getContext("2d");
  COLOURS.forEach(([red, green, blue], level) => {
    context.fillStyle = `rgb(${red} ${green} ${blue})`;
    context.fillRect(0, 255 - level, 1, 1);
  });
  const list = element("ol");
  grades.forEach((name, grade) => list.append(element("li", name === String(grade) ? name : `${grade} ${name}`)));
  at("legend").replaceChildren(bar, list);
  at("legend").setAttribute("aria-label", `Colours of the grades, from 0, dark, to ${highest()}, bright`);
}

const showNewest = atMostEvery(pace, () => {
  const last = lastToShow();
  if (following && last && last.id !== current && !document.hidden) choose(last.id);
});
document.addEventListener("visibilitychange", showNewest);

listen(() => {
  const last = lastToShow();
  const entry = entryOf(current);
  if (following && last && last.id !== current) showNewest();
  else if (entry && asked !== keyOf(entry)) load();
  else if (!entry && last) choose(last.id);
});

for (const input of document.querySelectorAll("input[name=view]")) {
  input.addEventListener("change", () => stage.setMode(input.value));
}
at("opacity").addEventListener("input", () => {
  const share = Number(at("opacity").value);
  at("opacity-said").textContent = `${share} %`;
  stage.setOpacity(share / 100);
});
at("previous").addEventListener("click", () => step(-1));
at("next").addEventListener("click", () => step(1));
at("follow").addEventListener("click", () => follow(!following));
at("closer").addEventListener("click", () => stage.zoom(1.4));
at("further").addEventListener("click", () => stage.zoom(1 / 1.4));
at("fit").addEventListener("click", stage.fit);
at("shallower").addEventListener("click", () => choose(current, slice - 1));
at("deeper").addEventListener("click", () => choose(current, slice + 1));
