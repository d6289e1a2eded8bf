// What is said of the image shown: whose it is, its score, its warnings, its facts, and the legend of its colours.

import { COLOURS } from "./colours.js";
import { brief, css, currentScale, gradeName, lowestOf, rgbOf, scaleOf } from "./scale.js";
import { session } from "./store.js";
import { element, base, folder, score, share, time, um } from "./words.js";

const at = (id) => document.getElementById(id);

/**
 * Say everything.
 * @param record its score.json, or null
 * @param number of the slice shown, counted from 0
 * @param goTo called with the entry and a region to bring into view
 */
export function say(entry, record, number, { goTo }) {
  const scale = record?.scale ?? scaleOf(entry);
  place(entry);
  verdict(entry, record, scale);
  warnings(entry, record);
  slices(record, number, scale);
  facts(entry, record, scale, goTo);
  legend(scale, record);
  saySynthetic(entry);
  at("retry").hidden = entry.state === "waiting" || entry.state === "scored";
  at("retry").dataset.id = entry.id;
}

/** Whether the model that runs, or that scored the image shown, was trained on synthetic images. */
export function saySynthetic(entry) {
  at("synthetic").textContent = session.syntheticWarning;
  at("synthetic").hidden = !(session.health?.synthetic || entry?.synthetic);
}

/** Patient and site, as the folders are called, then the file. */
function place(entry) {
  const where = folder(entry.name);
  at("whose").textContent = (where || base(entry.name)).replaceAll("/", " / ");
  at("which").textContent = where ? `${base(entry.name)}, ${time(entry.acquired)}` : time(entry.acquired);
  at("place").dataset.long = String(entry.name.length > 90);
}

function verdict(entry, record, scale) {
  const whole = (record?.image?.slices ?? 1) > 1 ? ", all slices" : "";
  at("verdict").dataset.kind = scale && !scale.ordered ? "class" : "score";
  if (entry.score === null && entry.share === null) {
    at("quantity").textContent = "";
    at("score").textContent = entry.state === "waiting" ? "…" : "–";
    at("grade").textContent = entry.state === "waiting" ? "waiting to be scored again" : entry.state;
  } else if (entry.score !== null) {
    at("quantity").textContent = `${scale?.quantity ?? "Score"}${whole}`;
    at("score").textContent = score(entry.score);
    at("grade").textContent = scale ? gradeName(scale, entry.grade) : "";
  } else {
    at("quantity").textContent = `Class with the most area${whole}`;
    at("score").textContent = brief(entry);
    at("grade").textContent = `${share(entry.share)} of the area`;
  }
}

function warnings(entry, record) {
  const lines = record?.slices ? reasonsBySlice(record.slices) : [entry.reason];
  lines.push(...(record?.notes ?? []));
  if (entry.state === "failed") lines.unshift("This image could not be scored.");
  const found = lines.filter(Boolean);
  at("warnings").textContent = found.join("\n");
  at("warnings").hidden = !found.length;
}

/** Reasons with the numbers of their slices, counted from 1. Earlier records count from 0 in their own words. */
function reasonsBySlice(records) {
  const numbers = new Map();
  records.forEach((each, number) => {
    for (const reason of each.reasons) numbers.set(reason, [...(numbers.get(reason) ?? []), number + 1]);
  });
  return [...numbers].map(([reason, of]) => (of.length === records.length ? reason : `slice ${of.join(", ")}: ${reason}`));
}

function slices(record, number, scale) {
  const count = record?.image?.slices ?? 1;
  at("slices").hidden = at("slice-score").hidden = count < 2;
  at("slice").textContent = `slice ${number + 1} of ${count}`;
  at("slice-score").textContent = count < 2 ? "" : `Slice ${number + 1}: ${sliceResult(record.slices?.[number], scale)}`;
  at("shallower").disabled = number <= 0;
  at("deeper").disabled = number >= count - 1;
}

function sliceResult(slice, scale) {
  const found = slice?.score;
  if (!found || !scale) return slice ? slice.status : "not known";
  if (scale.ordered) return `${score(found.mean)}, ${gradeName(scale, found.grade)}`;
  const largest = scale.grades.reduce((best, name) => (found.area_fraction[name] > found.area_fraction[best] ? name : best));
  return `${largest}, ${share(found.area_fraction[largest])} of the area`;
}

function facts(entry, record, scale, goTo) {
  const lines = [["Image", entry.name], ["Saved", time(entry.acquired)], ["State", entry.state]];
  if (entry.state !== "waiting") lines.push([entry.state === "failed" ? "Tried" : "Scored", time(entry.at)]);
  if (entry.withheld) lines.push(["Left out", `${share(entry.withheld)} of the cells`]);
  if (record) {
    const image = record.image;
    lines.push(["Size", `${image.width}×${image.height} px`]);
    lines.push(["Scale", image.um_per_px ? `${image.um_per_px} µm/px, by ${image.um_per_px_from}` : "unknown"]);
    if (image.z_um !== null) lines.push(["Depth", um(image.z_um)]);
    if (image.x_mm !== null) lines.push(["Stage", `x ${image.x_mm} mm, y ${image.y_mm} mm`]);
  }
  if (entry.engine) lines.push(["Engine", entry.engine], ["Model", `${record?.model?.name ?? ""} ${entry.model.slice(0, 8)}`]);
  at("facts").replaceChildren(...lines.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  const worst = scale?.ordered ? record?.score?.worst_region : null;
  if (worst) {
    const of = worst.slice === null ? "" : `slice ${worst.slice + 1}, `;
    const go = element("button", `${score(worst.mean)} at ${of}${um(worst.x_um)}, ${um(worst.y_um)}`, { type: "button", class: "link" });
    go.addEventListener("click", () => goTo(entry, worst));
    const cell = element("dd");
    cell.append(go);
    at("facts").append(element("dt", "Worst"), cell);
  }
}

let legendOf = null;

/** The colours of the image's own scale; of one without a score, those of the model that runs. */
function legend(own, record) {
  const scale = own ?? currentScale();
  const areas = scale && !scale.ordered ? record?.score?.area_fraction : undefined;
  const key = JSON.stringify([scale, areas, !own && record?.map]);
  if (key === legendOf) return;
  legendOf = key;
  const parts = scale?.ordered ? bar(scale) : scale ? [swatches(scale, areas)] : [];
  if (!own && record?.map) parts.push(element("p", "The colours of this map are not known: it is not coloured.", { class: "note" }));
  else if (own && !own.current) parts.push(element("p", "Scored by an earlier model, whose grades are not those of the model that runs now.", { class: "note" }));
  at("legend").replaceChildren(...parts);
}

function bar(scale) {
  const canvas = element("canvas", "", { role: "img" });
  const lowest = lowestOf(scale);
  canvas.setAttribute("aria-label", `Colours of the grades, from ${lowest}, dark, to ${lowest + scale.grades.length - 1}, bright`);
  [canvas.width, canvas.height] = [1, 256];
  const context = canvas.getContext("2d");
  COLOURS.forEach((rgb, level) => {
    context.fillStyle = css(rgb);
    context.fillRect(0, 255 - level, 1, 1);
  });
  const list = element("ol");
  scale.grades.forEach((name, place) => {
    const number = String(lowest + place);
    list.append(element("li", name === number ? name : `${number} ${name}`));
  });
  return [canvas, list];
}

function swatches(scale, areas) {
  const list = element("ul");
  scale.grades.forEach((name, index) => {
    const line = element("li");
    const swatch = element("i");
    swatch.style.background = css(rgbOf(scale, index));
    line.append(swatch, element("span", areas ? `${name}, ${share(areas[name] ?? 0)}` : name));
    list.append(line);
  });
  return list;
}
