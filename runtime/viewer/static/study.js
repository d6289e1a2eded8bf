// The view Session: the score over time, and one row a folder.

import { open } from "./now.js";
import { colourOf, css, currentScale, gradeName, lowestOf, rgbOf, scaleOf } from "./scale.js";
import { entries, listen, session } from "./store.js";
import { element, score, share, time, um } from "./words.js";

const canvas = document.getElementById("chart");
const title = document.getElementById("chart-title");
const note = document.getElementById("chart-note");
const body = document.querySelector("#folders tbody");
const PAD = { left: 34, right: 12, top: 8, bottom: 22 };
let points = [];
let visible = false;
let stale = true;
let asking = false;

/** The view came into sight, or went. */
export function show(on, leave) {
  visible = on;
  goNow = leave;
  if (on) refresh();
}

let goNow = () => {};

function refresh() {
  stale = true;
  if (!visible) return;
  drawChart();
  askForFolders();
}

function drawChart() {
  const scale = currentScale();
  if (!scale) return;
  const room = canvas.getBoundingClientRect();
  const dense = window.devicePixelRatio || 1;
  [canvas.width, canvas.height] = [Math.round(room.width * dense), Math.round(room.height * dense)];
  const context = canvas.getContext("2d");
  context.scale(dense, dense);
  const style = getComputedStyle(document.documentElement);
  const [words, line] = [style.getPropertyValue("--faint"), style.getPropertyValue("--line")];
  context.font = "12px system-ui, sans-serif";
  const lowest = lowestOf(scale);
  const names = scale.grades.map((name, place) => (scale.ordered ? String(lowest + place) : name));
  const left = Math.min(room.width / 3, Math.max(PAD.left, 20 + Math.max(...names.map((name) => context.measureText(name).width))));
  const list = entries();
  const [width, height] = [room.width - left - PAD.right, room.height - PAD.top - PAD.bottom];
  const highest = scale.grades.length - 1;
  const x = (place) => left + (list.length < 2 ? width / 2 : (width * place) / (list.length - 1));
  const y = (value) => PAD.top + height * (1 - (value - lowest) / highest);
  context.fillStyle = words;
  context.strokeStyle = line;
  context.textBaseline = "middle";
  names.forEach((name, place) => {
    context.fillText(name, 8, y(lowest + place), left - 16);
    context.beginPath();
    context.moveTo(left, y(lowest + place));
    context.lineTo(room.width - PAD.right, y(lowest + place));
    context.stroke();
  });
  points = [];
  let others = 0;
  const size = list.length > 600 ? 1.8 : 3;
  list.forEach((entry, place) => {
    const own = scaleOf(entry);
    // a score of another scale has no place on this one's axis
    others += Number(own !== null && !own.current);
    const value = own?.current ? (own.ordered ? entry.score : entry.grade) : null;
    const point = { id: entry.id, x: x(place), y: value === null ? PAD.top + height : y(value) };
    points.push(point);
    if (value !== null) {
      context.fillStyle = colourOf(entry);
      context.strokeStyle = words;
      context.beginPath();
      context.arc(point.x, point.y, size, 0, 7);
      context.fill();
      if (size > 2) context.stroke();
    } else {
      context.fillStyle = words;
      context.fillText(entry.state === "failed" ? "✕" : "◦", point.x - 4, point.y - 5);
    }
  });
  context.fillStyle = words;
  context.textBaseline = "alphabetic";
  if (list.length) {
    context.fillText(time(list[0].acquired), left, room.height - 6);
    const end = time(list[list.length - 1].acquired);
    context.fillText(end, room.width - PAD.right - context.measureText(end).width, room.height - 6);
  }
  title.textContent = `${scale.ordered ? scale.quantity : "Class with the most area"}, image by image in the order of acquisition`;
  note.hidden = !others;
  note.textContent = `Results of an earlier model with other grades: ${others}. They are not drawn, and no figure below holds them.`;
  canvas.setAttribute("aria-label", scale.ordered ? scoresInWords(list) : classesInWords(list, scale));
}

const ofCurrentScale = (list) => list.filter((entry) => scaleOf(entry)?.current);

function scoresInWords(list) {
  const scores = ofCurrentScale(list).map((entry) => entry.score);
  if (!scores.length) return "No scores yet";
  const mean = scores.reduce((sum, value) => sum + value, 0) / scores.length;
  const range = `from ${score(Math.min(...scores))} to ${score(Math.max(...scores))}`;
  return `Scores of ${scores.length} images in the order of acquisition, ${range}, mean ${score(mean)}`;
}

function classesInWords(list, scale) {
  const scored = ofCurrentScale(list);
  const counts = scale.grades.map((name, index) => `${name} ${scored.filter((entry) => entry.grade === index).length}`);
  return scored.length ? `Classes of ${scored.length} images in the order of acquisition: ${counts.join(", ")}` : "No results yet";
}

async function askForFolders() {
  if (asking || !stale) return;
  [asking, stale] = [true, false];
  try {
    const answer = await fetch("/api/folders");
    if (answer.ok) fill(await answer.json());
  } catch {
    stale = true;
  }
  // a burst of results is one question
  setTimeout(() => {
    asking = false;
    if (visible && stale) askForFolders();
  }, 2000);
}

function fill(folders) {
  const scale = currentScale();
  if (!scale) return;
  for (const head of document.querySelectorAll("#folders .of-order")) head.hidden = !scale.ordered;
  for (const head of document.querySelectorAll("#folders .of-classes")) head.hidden = scale.ordered;
  const shown = folders.filter((folder) => !folder.alone);
  body.replaceChildren(
    ...shown.map((folder) => {
      const row = element("tr");
      const name = element("th", folder.level ? folder.name : "all folders", { scope: "row" });
      name.style.paddingLeft = `${12 * folder.level}px`;
      name.style.position = "static";
      name.style.whiteSpace = "normal";
      const others = folder.others ? ` (${folder.others} of other grades)` : "";
      const counts = [`${folder.scored}${others}`, folder.withheld, folder.failed];
      row.append(name, ...counts.map((count) => element("td", String(count), { class: "number" })));
      row.append(...(scale.ordered ? means(folder, scale) : [areas(folder, scale)]));
      return row;
    }),
  );
}

function means(folder, scale) {
  const mean = element("td", score(folder.mean), { class: "number" });
  if (folder.mean !== null) mean.style.boxShadow = `inset -5px 0 ${css(rgbOf(scale, folder.mean))}`;
  const interval = folder.ci95 ? `${score(folder.ci95[0])} to ${score(folder.ci95[1])}` : "";
  return [mean, element("td", folder.models > 1 ? `${interval} of ${folder.models} models` : interval), worst(folder.worst)];
}

/** Mean share of each class over the folder's images, the largest first. */
function areas(folder, scale) {
  const cell = element("td");
  const classes = (folder.areas ?? []).map((area, index) => ({ area, index })).filter(({ area }) => area > 0);
  for (const { area, index } of classes.sort((one, other) => other.area - one.area)) {
    const part = element("span", "", { class: "area" });
    const swatch = element("i");
    swatch.style.background = css(rgbOf(scale, index));
    part.append(swatch, element("span", `${gradeName(scale, index)} ${share(area)}`));
    cell.append(part);
  }
  return cell;
}

function worst(found) {
  const cell = element("td");
  if (!found) return cell;
  const slice = found.slice === null ? "" : `slice ${found.slice + 1}, `;
  const said = `${score(found.mean)} in ${found.name} at ${slice}${um(found.x_um)}, ${um(found.y_um)}`;
  if (!found.id) {
    cell.textContent = said;
    return cell;
  }
  const go = element("button", said, { type: "button", class: "link" });
  go.addEventListener("click", () => { open(found.id); goNow(); });
  cell.append(go);
  return cell;
}

canvas.addEventListener("click", (event) => {
  const room = canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - room.left, event.clientY - room.top];
  const near = points.reduce(
    (best, point) => {
      const apart = Math.hypot(point.x - x, point.y - y);
      return apart < best.apart ? { apart, id: point.id } : best;
    },
    { apart: 20, id: null },
  );
  if (near.id) { open(near.id); goNow(); }
});
new ResizeObserver(() => { if (visible) drawChart(); }).observe(canvas);
listen((changed) => { if (changed.length || !session.health) refresh(); });
