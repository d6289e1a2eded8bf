// The scale of a result: names of the grades, whether they have an order, what the score is called, and its colours.
// A result that names no grades has no scale: nothing stands in for it, and it is not coloured.

import { COLOURS } from "./colours.js";
import { session } from "./store.js";
import { score, share } from "./words.js";

/** Colours of classes without an order: Okabe and Ito's, without black, as on the overlay. */
export const CLASS_COLOURS = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"];
const lowests = new WeakMap(); // scale -> number of its lowest grade
// share of the remaining way to white that each repeat of the colours goes
const LIGHTENING = 0.45;

/** The scale of the model that the watch runs; null before the page knows it. */
export const currentScale = () =>
  session.grades.length ? { grades: session.grades, ordered: session.ordered, quantity: session.quantity, current: true } : null;

/** The scale of an entry's own result, which may be of an earlier model; null where it has none. */
export function scaleOf(entry) {
  if (entry.score === null && entry.share === null) return null;
  const grades = entry.grades ?? session.grades;
  if (grades.length < 2) return null;
  const ordered = entry.score !== null;
  // an earlier model may have scored something else
  const quantity = session.models.includes(entry.model) ? session.quantity : "Score";
  return { grades, ordered, quantity, current: entry.grades === null && ordered === session.ordered };
}

/**
 * The number of the lowest grade, from which scores are counted: of ordered grades named 1, 2, 3 it is 1. See
 * `runtime/grade_names.py`.
 */
export function lowestOf(scale) {
  // a map asks once a cell
  if (!lowests.has(scale)) lowests.set(scale, findLowest(scale));
  return lowests.get(scale);
}

function findLowest({ grades, ordered }) {
  if (!ordered || !/^\d{1,4}$/.test(grades[0])) return 0;
  const lowest = Number(grades[0]);
  return grades.every((name, place) => name === String(lowest + place)) ? lowest : 0;
}

/** [red, green, blue] of a score, or of the index of a class; null where the scale has no such class. */
export function rgbOf(scale, value) {
  if (!scale.ordered) return Number.isInteger(value) && value < scale.grades.length ? classRgb(value) : null;
  const highest = scale.grades.length - 1;
  return COLOURS[Math.round((255 * Math.min(Math.max(value - lowestOf(scale), 0), highest)) / highest)];
}

/** The colour of an entry's result, as CSS has it; empty where it has no scale. */
export function colourOf(entry) {
  const scale = scaleOf(entry);
  const rgb = scale && rgbOf(scale, scale.ordered ? entry.score : entry.grade);
  return rgb ? css(rgb) : "";
}

export const css = (rgb) => `rgb(${rgb.join(" ")})`;

/** A grade by its name, which may be nothing but its number. */
export function gradeName(scale, grade) {
  const name = scale.grades[grade - lowestOf(scale)] ?? String(grade);
  return scale.ordered && /^\d+$/.test(name) ? `grade ${name}` : name;
}

/** An entry's result in a word or two: its score, or its largest class. */
export function brief(entry) {
  if (entry.score !== null) return score(entry.score);
  const scale = scaleOf(entry);
  return scale ? gradeName(scale, entry.grade) : entry.state;
}

/** The same for somebody who hears it. */
export function spoken(entry) {
  if (entry.score !== null) return `score ${score(entry.score)}`;
  return entry.share === null ? entry.state : `${brief(entry)}, ${share(entry.share)} of the area`;
}

function classRgb(index) {
  const hex = CLASS_COLOURS[index % CLASS_COLOURS.length];
  const kept = (1 - LIGHTENING) ** Math.floor(index / CLASS_COLOURS.length);
  return [1, 3, 5].map((at) => Math.round(255 - kept * (255 - parseInt(hex.slice(at, at + 2), 16))));
}
