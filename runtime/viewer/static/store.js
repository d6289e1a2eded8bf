// What the page knows of the session: every entry by id, in the order of acquisition, and who wants to hear of changes.

import { Known, byAcquisition } from "./order.js";

const listeners = new Set();
const known = new Known();
const byId = new Map();
let order = [];

// grades, ordered and quantity are those of the model that the watch runs; no grades: not known yet
export const session = {
  grades: [], ordered: null, quantity: "", models: [], health: null, healthAt: 0, most: 0, run: "", version: 0,
  syntheticWarning: "",
};

/** Take everything anew. */
export function takeAll(found) {
  const isFirst = !session.run;
  byId.clear();
  Object.assign(session, {
    grades: found.grades, ordered: found.ordered, quantity: found.quantity, models: found.models, health: found.health,
    healthAt: performance.now(), most: found.most, run: found.run, version: found.version,
    syntheticWarning: found.synthetic_warning, software: found.software,
  });
  for (const entry of found.entries) byId.set(entry.id, entry);
  sort();
  const news = note(found.entries);
  tell(found.entries, isFirst ? null : news);
}

/** Take what changed. */
export function takeSome(update) {
  Object.assign(session, { version: update.version, health: update.health, healthAt: performance.now() });
  for (const entry of update.entries) byId.set(entry.id, entry);
  if (update.entries.length) sort();
  tell(update.entries, note(update.entries));
}

/** All entries, those acquired last at the end. */
export const entries = () => order;
export const entryOf = (id) => byId.get(id);
export const newest = () => order.at(-1);

/** Whether so many images wait that drawing each of their results would take from the scoring what it needs. */
export const isBusy = () => (session.health?.counts.waiting ?? 0) >= 20;

/** How long to wait between two drawings, in ms. */
export const pace = () => (isBusy() ? 10000 : 800);

/** The entries of one state, or `all`. */
export const those = (state) => (state === "all" ? order : order.filter((entry) => entry.state === state));

/** Call at each change with the entries that changed, and the new image that is the newest, or null. */
export function listen(callback) {
  listeners.add(callback);
}

function sort() {
  order = [...byId.values()].sort(byAcquisition);
  // those acquired first make room, as at the server
  for (const entry of order.splice(0, Math.max(0, order.length - session.most))) {
    byId.delete(entry.id);
    known.forget(entry.id);
  }
}

const note = (changed) => known.note(changed.filter((entry) => byId.has(entry.id)), order);

function tell(changed, news) {
  for (const callback of listeners) callback(changed, news);
}
