// The view Session: the score over time, and one row a folder.

import { colourOf } from "./colours.js";
import { open } from "./now.js";
import { entries, highest, listen, session } from "./store.js";
import { element, score, time, um } from "./words.js";

const canvas = document.getElementById("chart");
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
  const room = canvas.getBoundingClientRect();
  const dense = window.devicePixelRatio || 1;
  [canvas.width, canvas.height] = [Math.round(room.width * dense), Math.round(room.height * dense)];
  const context = canvas.getContext("2d");
  context.scale(dense, dense);
  const style = getComputedStyle(document.documentElement);
  const [words, line] = [style.getPropertyValue("--faint"), style.getPropertyValue("--line")];
  const list = entries();
  const [width, height] = [room.width - PAD.left - PAD.right, room.height - PAD.top - PAD.bottom];
  const x = (place) => PAD.left + (list.length < 2 ? width / 2 : (width * place) / (list.length - 1));
  const y = (value) => PAD.top + height * (1 - value / highest());
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = words;
  context.strokeStyle = line;
  context.textBaseline = "middle";
  for (let grade = 0; grade <= highest(); grade += 1) {
    context.fillText(String(grade), 12, y(grade));
    context.beginPath();
    context.moveTo(PAD.left, y(grade));
    context.lineTo(room.width - PAD.right, y(grade));
    context.stroke();
  }
  points = [];
  const size = list.length > 600 ? 1.8 : 3;
  list.forEach((entry, place) => {
    const scored = entry.score !== null;
    const point = { id: entry.id, x: x(place), y: scored ? y(entry.score) : PAD.top + height };
    points.push(point);
    if (scored) {
      context.fillStyle = colourOf(entry.score, highest());
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
    context.fillText(time(list[0].at), PAD.left, room.height - 6);
    const end = time(list[list.length - 1].at);
    context.fillText(end, room.width - PAD.right - context.measureText(end).width, room.height - 6);
  }
  const scores = list.filter((entry) => entry.score !== null).map((entry) => entry.score);
  const mean = scores.length ? scores.reduce((sum, value) => sum + value, 0) / scores.length : null;
  canvas.setAttribute(
    "aria-label",
    scores.length
      ? `Scores of ${scores.length} images in the order of time, from ${score(Math.min(...scores))} to ${score(Math.max(...scores))}, mean ${score(mean)}`
      : "No scores yet",
  );
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
  const shown = folders.filter((folder) => !folder.alone);
  body.replaceChildren(
    ...shown.map((folder) => {
      const row = element("tr");
      const name = element("th", folder.level ? folder.name : "all folders", { scope: "row" });
      name.style.paddingLeft = `${12 * folder.level}px`;
      name.style.position = "static";
      name.style.whiteSpace = "normal";
      const mean = element("td", score(folder.mean), { class: "number" });
      if (folder.mean !== null) mean.style.boxShadow = `inset -5px 0 ${colourOf(folder.mean, highest())}`;
      const interval = folder.ci95 ? `${score(folder.ci95[0])} to ${score(folder.ci95[1])}` : "";
      row.append(
        name, ...[folder.scored, folder.withheld, folder.failed].map((count) => element("td", String(count), { class: "number" })),
        mean, element("td", folder.models > 1 ? `${interval} of ${folder.models} models` : interval), worst(folder.worst),
      );
      return row;
    }),
  );
}

function worst(found) {
  const cell = element("td");
  if (!found) return cell;
  const said = `${score(found.mean)} in ${found.name} at ${um(found.x_um)}, ${um(found.y_um)}`;
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
