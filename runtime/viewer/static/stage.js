// The image shown: its frame, the map over it, pan, zoom, and the grade below the pointer.

import { gradeName, lowestOf, rgbOf, spoken } from "./scale.js";
import { score, um } from "./words.js";

const NO_SCORE = 0xffff;
const STEPS_A_GRADE = 1000;
const stage = document.getElementById("stage");
const layer = document.getElementById("layer");
const frame = document.getElementById("frame");
const canvas = document.getElementById("map");
const readout = document.getElementById("readout");

let shown = null; // {id, width, height, umPerPx, scale, grid: {rows, columns, steps, cellUm, originUm} | null, plain}
let view = { scale: 1, x: 0, y: 0, fitted: true };
let mode = "overlay";
let opacity = 0.5;

/**
 * Show an image.
 * @param record its score.json
 * @param image the frame, or the overlay's file where there is no frame any more, loaded
 * @param map the answer of /map, or null
 * @param plain whether `image` is the overlay's file, whose colours cannot be taken away
 */
export function show(entry, record, image, map, plain) {
  const same = shown && shown.width === record.image.width && shown.height === record.image.height && !plain && !shown.plain;
  const width = plain ? image.naturalWidth : record.image.width;
  const height = plain ? image.naturalHeight : record.image.height;
  shown = { id: entry.id, width, height, umPerPx: record.image.um_per_px, scale: record.scale, grid: plain ? null : gridOf(record, map), plain };
  frame.src = image.src;
  frame.alt = `${entry.name}, ${spoken(entry)}`;
  for (const side of ["width", "height"]) frame.style[side] = layer.style[side] = `${shown[side]}px`;
  drawMap();
  if (!same || view.fitted) fit();
  dress();
  readout.textContent = "";
  stage.dataset.shown = entry.id;
}

/** Show nothing. */
export function clear() {
  shown = null;
  frame.removeAttribute("src");
  canvas.width = canvas.height = 0;
  delete stage.dataset.shown;
}

export function setMode(chosen) {
  mode = chosen;
  dress();
}

export function setOpacity(share) {
  opacity = share;
  dress();
}

/** As large as the window allows. */
export function fit() {
  if (!shown) return;
  const room = stage.getBoundingClientRect();
  const scale = Math.min(room.width / shown.width, room.height / shown.height);
  view = { scale, x: (room.width - scale * shown.width) / 2, y: (room.height - scale * shown.height) / 2, fitted: true };
  place();
}

/** Zoom around a point of the stage, its middle unless told. */
export function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  if (!shown) return;
  const scale = Math.min(40, Math.max(0.02, view.scale * factor));
  const by = scale / view.scale;
  view = { scale, x: x - by * (x - view.x), y: y - by * (y - view.y), fitted: false };
  place();
}

export function pan(x, y) {
  if (!shown) return;
  view = { ...view, x: view.x + x, y: view.y + y, fitted: false };
  place();
}

/** Bring a place on the frame, in µm, to the middle. */
export function goTo(xUm, yUm, sizeUm) {
  if (!shown || !shown.umPerPx || shown.plain) return;
  const room = stage.getBoundingClientRect();
  const scale = Math.min(room.width, room.height) / (2.5 * (sizeUm / shown.umPerPx));
  view = { scale, x: room.width / 2 - (scale * xUm) / shown.umPerPx, y: room.height / 2 - (scale * yUm) / shown.umPerPx, fitted: false };
  place();
}

function gridOf(record, map) {
  if (!map || !record.map) return null;
  const sizes = new DataView(map);
  const [rows, columns] = [sizes.getUint32(0, true), sizes.getUint32(4, true)];
  const [originUm] = record.map.origin_um;
  // the centre of the first cell is half a patch from the edge
  const cellUm = (2 * originUm * record.map.stride_px) / record.map.patch_px;
  const modelUmPerPx = (2 * originUm) / record.map.patch_px;
  return { rows, columns, steps: new Uint16Array(map, 8), cellUm, originUm, umPerPx: record.image.um_per_px ?? modelUmPerPx };
}

function drawMap() {
  const grid = shown.grid;
  canvas.width = grid ? grid.columns : 0;
  canvas.height = grid ? grid.rows : 0;
  if (!grid) return;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(grid.columns, grid.rows);
  // between classes there is nothing, and no colour either
  canvas.dataset.ordered = String(shown.scale?.ordered ?? true);
  // without the scale of the map's own result nothing is coloured
  for (let at = 0; shown.scale && at < grid.steps.length; at += 1) {
    if (grid.steps[at] === NO_SCORE) continue;
    const rgb = rgbOf(shown.scale, valueOf(grid.steps[at]));
    if (rgb) picture.data.set([...rgb, 255], 4 * at);
  }
  context.putImageData(picture, 0, 0);
  const px = 1 / grid.umPerPx;
  const edge = (grid.originUm - grid.cellUm / 2) * px;
  canvas.style.left = canvas.style.top = `${edge}px`;
  canvas.style.width = `${grid.columns * grid.cellUm * px}px`;
  canvas.style.height = `${grid.rows * grid.cellUm * px}px`;
}

function dress() {
  canvas.style.opacity = mode === "raw" ? 0 : mode === "map" ? 1 : opacity;
  stage.dataset.mode = mode;
}

function place() {
  layer.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
}

function read(event) {
  if (!shown || shown.plain) return;
  const room = stage.getBoundingClientRect();
  const x = (event.clientX - room.left - view.x) / view.scale;
  const y = (event.clientY - room.top - view.y) / view.scale;
  if (x < 0 || y < 0 || x >= shown.width || y >= shown.height) {
    readout.textContent = "";
    return;
  }
  const grid = shown.grid;
  const umPerPx = grid ? grid.umPerPx : shown.umPerPx;
  const where = umPerPx ? `x ${um(x * umPerPx)}, y ${um(y * umPerPx)}` : `x ${Math.floor(x)} px, y ${Math.floor(y)} px`;
  readout.textContent = `${where}: ${gradeAt(grid, x, y)}`;
}

/** A cell's grade as the scale of the image counts it, or the index of its class. */
const valueOf = (step) => lowestOf(shown.scale) + step / STEPS_A_GRADE;

function gradeAt(grid, x, y) {
  if (!grid) return "no map";
  const first = grid.originUm - grid.cellUm / 2;
  const column = Math.floor((x * grid.umPerPx - first) / grid.cellUm);
  const row = Math.floor((y * grid.umPerPx - first) / grid.cellUm);
  if (row < 0 || column < 0 || row >= grid.rows || column >= grid.columns) return "no cell here";
  const step = grid.steps[row * grid.columns + column];
  if (step === NO_SCORE) return "not scored";
  const scale = shown.scale;
  if (!scale) return "scale not known";
  const value = valueOf(step);
  const name = gradeName(scale, Math.round(value));
  if (!scale.ordered) return rgbOf(scale, value) ? name : "class not known";
  return `grade ${score(value)}${name.startsWith("grade ") ? "" : `, ${name}`}`;
}

const touching = new Map();
stage.addEventListener("pointerdown", (event) => {
  stage.setPointerCapture(event.pointerId);
  touching.set(event.pointerId, event);
});
stage.addEventListener("pointermove", (event) => {
  const before = touching.get(event.pointerId);
  if (before && touching.size === 1) pan(event.clientX - before.clientX, event.clientY - before.clientY);
  if (before && touching.size === 2) pinch(event);
  if (before) touching.set(event.pointerId, event);
  read(event);
});
for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => touching.delete(event.pointerId));
stage.addEventListener("pointerleave", () => { readout.textContent = ""; });
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  const room = stage.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY / 500), event.clientX - room.left, event.clientY - room.top);
}, { passive: false });
stage.addEventListener("dblclick", fit);
new ResizeObserver(() => { if (view.fitted) fit(); }).observe(stage);

function pinch(event) {
  const [one, other] = [...touching.values()];
  const still = one.pointerId === event.pointerId ? other : one;
  const moved = one.pointerId === event.pointerId ? one : other;
  const apart = (first, second) => Math.hypot(first.clientX - second.clientX, first.clientY - second.clientY);
  const room = stage.getBoundingClientRect();
  zoom(apart(event, still) / Math.max(1, apart(moved, still)), still.clientX - room.left, still.clientY - room.top);
}
