// The view Health: how the watch stands, what failed or was withheld, and Retry.

import { open } from "./now.js";
import { byAcquisition } from "./order.js";
import { entryOf, listen, session, those } from "./store.js";
import { saySynthetic } from "./verdict.js";
import { MARKS, element, seconds, time } from "./words.js";

const MOST = 200;
const at = (id) => document.getElementById(id);
let visible = false;
let goNow = () => {};

/** The view came into sight, or went. */
export function show(on, leave) {
  visible = on;
  goNow = leave;
  if (on) refresh();
}

/** Have an image scored again; told in the button that asked. */
export async function retry(button) {
  button.disabled = true;
  const said = button.textContent;
  button.textContent = "asking";
  try {
    const answer = await fetch(`/api/retry/${button.dataset.id}`, { method: "POST" });
    button.textContent = answer.ok ? "will be scored again" : "did not work, try again";
    if (answer.ok) return;
  } catch {
    button.textContent = "no connection, try again";
  }
  button.disabled = false;
  setTimeout(() => { button.textContent = said; }, 4000);
}

function refresh() {
  sayFaults();
  if (!visible) return;
  const health = session.health;
  const counts = health?.counts ?? {};
  const waiting = counts.waiting ?? 0;
  at("tiles").replaceChildren(
    ...[
      ["Watch", health?.ok ? "scoring" : "needs a look", !health?.ok],
      ["Engine", health?.engine ?? "–"],
      ["Model", health?.model ? `${health.model} ${health.model_sha256.slice(0, 12)}` : "–"],
      ["Images a second", health ? health.images_per_second.toFixed(1) : "–"],
      ["Waiting", String(waiting)],
      ["Oldest waiting", health?.oldest_waiting_s ? seconds(health.oldest_waiting_s) : "none"],
      ["Scored", String(counts.scored ?? 0)],
      ["Withheld", String(counts.withheld ?? 0)],
      ["Failed", String(counts.failed ?? 0), (counts.failed ?? 0) > 0],
      ["Free on the results' disk", health?.free_gb == null ? "unknown" : `${health.free_gb.toFixed(0)} GB`,
        health?.free_gb == null || health.free_gb < health.min_free_gb],
      ["Watched folder", health?.folder ?? "–"],
      ["inflamap", session.software ?? ""],
    ].map(([name, value, bad]) => {
      const tile = element("div", "", { class: bad ? "tile bad" : "tile" });
      tile.append(element("p", name), element("p", value));
      return tile;
    }),
  );
  troubles();
}

let drawn = "";
function troubles() {
  const list = [...those("failed"), ...those("withheld"), ...those("waiting")].sort((one, other) => byAcquisition(other, one));
  // a button that somebody is about to press is not to be replaced for nothing
  const key = list.slice(0, MOST).map((entry) => `${entry.id}${entry.version}`).join();
  if (key === drawn) return;
  drawn = key;
  document.querySelector("#troubles tbody").replaceChildren(...list.slice(0, MOST).map(row));
  at("troubles-more").textContent = list.length > MOST ? `and ${list.length - MOST} more: inflamap results` : list.length ? "" : "none";
}

function row(entry) {
  const made = element("tr");
  const name = element("td");
  const go = element("button", entry.name, { type: "button", class: "link" });
  go.addEventListener("click", () => { open(entry.id); goNow(); });
  name.append(go);
  const action = element("td");
  if (entry.state !== "waiting") {
    const button = element("button", "Retry", { type: "button", "aria-label": `Retry ${entry.name}` });
    button.dataset.id = entry.id;
    button.addEventListener("click", () => retry(button));
    action.append(button);
  }
  made.append(name, element("td", `${MARKS[entry.state]} ${entry.state}`, { class: "short" }), element("td", entry.reason), element("td", time(entry.acquired), { class: "short" }), action);
  return made;
}

function sayFaults() {
  const faults = session.health?.faults ?? [];
  const said = faults.join("; ");
  if (at("faults").textContent !== said) at("faults").textContent = said;
  at("faults").hidden = !faults.length;
  saySynthetic(entryOf(document.documentElement.dataset.shown));
}

at("retry").addEventListener("click", () => retry(at("retry")));
listen(refresh);
