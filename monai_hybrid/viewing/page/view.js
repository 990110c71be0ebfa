"use strict";
import { colourTable, drawsWholeLines, packed, toFile, toViewer } from "./drawing.js";

const $ = (id) => document.getElementById(id);
const state = { data: null, at: -1, shown: [], tool: "look", label: 1, dirty: false, turn: 0, files: new Map() };
const nv = window.niivue && supported() ? new window.niivue.Niivue({
  backColor: [0, 0, 0, 1], crosshairColor: [1, 1, 1, 0.6], crosshairWidthUnit: "percent", dragAndDropEnabled: false, isColorbar: false, loadingText: "",
  logLevel: "error", multiplanarShowRender: 0, isOrientationTextVisible: true, showAllOrientationMarkers: true, fontColor: [1, 1, 1, 1], isRadiologicalConvention: true, maxDrawUndoBitmaps: 16,
}) : null;
window.page = { nv, state };

function supported() {
  try { return Boolean(document.createElement("canvas").getContext("webgl2")); } catch { return false; }
}

function make(tag, text, name) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (name) element.className = name;
  return element;
}

async function asked(address, options) {
  const answer = await fetch(address, options);
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  const problem = new Error(said.error);
  problem.status = answer.status;
  throw problem;
}

function tell(text, bad = false) {
  $("told").textContent = text;
  $("told").className = bad ? "bad" : "";
}

// ---- the list

const short = (text) => /^\d+\.\d{4,}$/.test(text || "") ? Number(text).toPrecision(3) : text;
const worth = (text) => { const number = parseFloat(text); return Number.isNaN(number) ? -Infinity : number; };

function ordered() {
  const by = $("order").value, wanted = $("find").value.trim().toLowerCase();
  const cases = state.data.cases.filter((one) => one.name.toLowerCase().includes(wanted));
  if (by === "name") return cases.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  if (by === "flag") return cases;
  return cases.sort((a, b) => worth(b.numbers[by]) - worth(a.numbers[by]));
}

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((one) => one.isIntersecting)) {
    entry.target.src = entry.target.dataset.src;
    watcher.unobserve(entry.target);
  }
}, { root: null, rootMargin: "200px" });

function row(one) {
  const item = make("li"), button = make("button");
  button.type = "button";
  if (one.note) button.append(make("span", "", "none"));
  else {
    const picture = make("img");
    picture.alt = "";
    picture.dataset.src = `cases/${one.number}/thumbnail?${one.version || 0}`;
    watcher.observe(picture);
    button.append(picture);
  }
  button.append(make("span", one.name, "name"));
  const why = one.flag || one.note;
  if (why) button.append(make("span", why, "why"));
  const by = $("order").value, shown = by === "flag" || by === "name" ? state.data.columns.find((name) => !name.startsWith("volume_")) : by;
  const fact = make("span", shown && one.numbers[shown] ? `${spoken(shown)} ${short(one.numbers[shown])}` : "", "fact");
  if (one.saved) fact.append(make("span", fact.textContent ? " · label saved" : "label saved", "done"));
  button.append(fact);
  button.addEventListener("click", () => open(one.number));
  item.dataset.number = one.number;
  item.append(button);
  return item;
}

function list() {
  state.shown = ordered();
  $("cases").replaceChildren(...state.shown.map(row));
  marked();
}

function marked() {
  for (const item of $("cases").children) {
    const here = Number(item.dataset.number) === state.at;
    item.setAttribute("aria-current", here);
    if (here) item.scrollIntoView({ block: "nearest" });
  }
  const index = state.shown.findIndex((one) => one.number === state.at);
  $("place").textContent = index < 0 ? "" : `${index + 1} of ${state.shown.length}`;
  $("previous").disabled = index <= 0;
  $("next").disabled = index < 0 || index >= state.shown.length - 1;
}

const MEANINGS = {
  entropy_foreground: ["unsure over the mask", "Unsure over the mask: the model's mean entropy where it sees a structure, from 0 (sure) to 1 (it guesses)."],
  entropy_all: ["unsure over the image", "Unsure over the image: the same for all of it."],
  denoising_error: ["unlike the training images", "Unlike the training images: how badly the model restores this image from noise; compare it with the other cases."],
};
const spoken = (column) => MEANINGS[column]?.[0] || column.replace(/^volume_/, "volume of ").replaceAll("_", " ");

function step(by) {
  const index = state.shown.findIndex((one) => one.number === state.at);
  const one = state.shown[index + by];
  if (index >= 0 && one) open(one.number);
}

// ---- a case

function leave() {
  return !state.dirty || window.confirm("The correction of this case is not saved. Leave it?");
}

async function open(number) {
  if (!leave()) return;
  const one = state.data.cases[number], turn = ++state.turn;
  document.body.dataset.ready = "no";
  state.at = number;
  state.dirty = false;
  $("save").disabled = true;
  $("confirm").hidden = true;
  tell("");
  $("name").textContent = one.name;
  for (const id of ["flag", "note"]) { $(id).textContent = one[id]; $(id).hidden = !one[id]; }
  $("numbers").replaceChildren(...state.data.columns.flatMap((name) => [make("dt", spoken(name)), make("dd", short(one.numbers[name]) || "–")]));
  $("quality").hidden = !state.data.columns.length;
  $("correct").disabled = Boolean(one.note) || !nv;
  marked();
  if (one.note) { if (nv) emptied(); return finish(turn); }
  if (!nv) return plain(one);
  busy("Opening");
  try {
    await volumes(number, turn);
    if (turn === state.turn) { chooseView(); tool("look"); }
  } catch (problem) {
    if (turn === state.turn) { emptied(); $("note").textContent = problem.message; $("note").hidden = false; $("correct").disabled = true; }
  }
  finish(turn);
}

function finish(turn) {
  if (turn !== state.turn) return;
  busy("");
  document.body.dataset.ready = "yes";
}

function busy(text) {
  $("busy").hidden = !text;
  $("busy").firstElementChild.textContent = text;
}

function plain(one) {
  $("stage").classList.add("plain");
  const picture = make("img");
  picture.alt = `A slice of ${one.name} with its mask`;
  picture.src = `cases/${one.number}/thumbnail`;
  $("stage").replaceChildren(picture);
  $("note").textContent = "This browser has no WebGL 2: one slice is shown, and nothing can be corrected.";
  $("note").hidden = false;
  finish(state.turn);
}

function emptied() {
  while (nv.volumes.length) nv.removeVolume(nv.volumes[0]);
  nv.closeDrawing();
}

async function volumes(number, turn) {
  const channel = $("channel").value || "0";
  const [image, mask] = await Promise.all([asked(`cases/${number}/image?channel=${channel}`), asked(`cases/${number}/mask`)]);
  const [bytes, voxels] = await Promise.all([image.blob(), mask.arrayBuffer()]);
  if (turn !== state.turn) return;
  const file = new File([bytes], image.headers.get("X-Name") || "image.nii");
  const volume = await window.niivue.NVImage.loadFromFile({ file, name: file.name });
  if (turn !== state.turn) return;
  emptied();
  nv.addVolume(volume);
  drawn(new Uint8Array(voxels));
  state.data.cases[number].saved = mask.headers.get("X-Saved") === "yes";
  state.flat = volume.dimsRAS[3] === 1;
  $("stage").classList.toggle("flat", state.flat);
  if (state.flat) $("stage").style.setProperty("--shape", (volume.dimsRAS[1] * volume.pixDimsRAS[1]) / (volume.dimsRAS[2] * volume.pixDimsRAS[2]));
  nv.resizeListener();
}

function drawn(voxels) {
  const volume = nv.volumes[0];
  if (voxels.length !== volume.dimsRAS[1] * volume.dimsRAS[2] * volume.dimsRAS[3]) throw new Error("image and mask have different sizes");
  nv.createEmptyDrawing();
  nv.drawBitmap.set(toViewer(voxels, volume));
  nv.drawClearAllUndoBitmaps();
  nv.drawAddUndoBitmap();
  nv.setDrawColormap(colourTable(state.data.labels));
  styled();
  nv.refreshDrawing(true);
}

// An outline is the rim of each label in the plane that is seen; what lies inside is all but clear.
function styled() {
  const outline = $("style").value === "outline", share = $("opacity").value / 100;
  nv.drawRimOpacity = outline ? Math.min(1, 2 * share) : -1; // a line is as clear at half the way
  nv.setDrawOpacity(outline ? Math.min(share, 0.004) : share);
  nv.drawScene();
}

// ---- looking and drawing

function chooseView() {
  $("view-box").hidden = state.flat;
  const kinds = { three: nv.sliceTypeMultiplanar, axial: nv.sliceTypeAxial, coronal: nv.sliceTypeCoronal, sagittal: nv.sliceTypeSagittal };
  nv.opts.isOrientationTextVisible = !state.flat;
  nv.opts.isRadiologicalConvention = !state.flat; // a patient's right is on the left, but a picture is shown as it is
  nv.opts.crosshairWidth = state.flat ? 0 : Math.max(0.35, 300 / nv.canvas.clientWidth); // of the volume's width: more than a pixel
  nv.setSliceType(state.flat ? nv.sliceTypeAxial : kinds[$("view").value]);
  nv.drawScene();
}

function tool(name) {
  state.tool = name;
  for (const button of document.querySelectorAll("[data-tool]")) button.setAttribute("aria-checked", button.dataset.tool === name);
  nv.setDrawingEnabled(name !== "look");
  nv.opts.penSize = Math.min(25, Math.max(1, Math.round($("width").value) || 1));
  if (name !== "look") nv.setPenValue(name === "erase" ? 0 : state.label, name === "fill");
}

function label(index) {
  if (!state.data.labels[index] || index < 1) return;
  state.label = index;
  for (const button of $("labels").children) button.setAttribute("aria-checked", Number(button.dataset.index) === index);
  tool(state.tool === "fill" ? "fill" : state.tool === "look" || state.tool === "erase" ? "pen" : state.tool);
}

function changed() {
  state.dirty = true;
  $("save").disabled = false;
}

async function save(replace) {
  const number = state.at, one = state.data.cases[number], turn = state.turn;
  $("confirm").hidden = true;
  $("save").disabled = true;
  tell("Saving");
  try {
    const body = await packed(toFile(nv.drawBitmap, nv.volumes[0]));
    const who = encodeURIComponent($("who").value.trim());
    const answer = await asked(`cases/${number}/label?who=${who}${replace ? "&replace=yes" : ""}`, {
      method: "POST", body, headers: { "Content-Type": "application/octet-stream" },
    });
    const said = await answer.json();
    one.saved = true;
    one.version = Date.now();
    Object.assign(state.data, { count: said.count, adapt: said.adapt, check: said.check });
    if (turn === state.turn) { state.dirty = false; tell(`Saved: ${said.label}, ${said.changed} ${state.flat ? "pixels" : "voxels"} changed. Beside it: ${said.sidecar}`); }
    counted();
    list();
  } catch (problem) {
    if (turn !== state.turn) return;
    $("save").disabled = false;
    if (problem.status !== 409) return tell(problem.message, true);
    tell("");
    $("confirm-text").textContent = `There is a label of ${one.name} already. Nothing was written.`;
    $("confirm").hidden = false;
    $("keep").focus();
  }
}

async function startOver() {
  const answer = await asked(`cases/${state.at}/mask?of=predicted`);
  drawn(new Uint8Array(await answer.arrayBuffer()));
  changed();
}

function counted() {
  const { cases, count, place, predicted } = state.data;
  const flagged = cases.filter((one) => one.flag).length;
  const parts = [`${cases.length} ${cases.length === 1 ? "case" : "cases"}`];
  if (predicted) parts.push(`${flagged} flagged`);
  if (count) parts.push(`${count} ${count === 1 ? "label" : "labels"} saved`);
  $("count").textContent = parts.join(" · ");
  $("count").title = place;
  $("use").hidden = !count;
  $("check").textContent = state.data.check;
  $("adapt").textContent = state.data.adapt;
}

// ---- the start

function prepared() {
  const { labels, columns, channels, title, predicted } = state.data;
  document.title = `${title}: monai_hybrid view`;
  $("title").textContent = title;
  $("shared").textContent = state.data.shared.join(" ");
  $("shared").hidden = !state.data.shared.length;
  $("again").textContent = predicted ? "Prediction again" : "Start over";
  const orders = [["flag", predicted ? "Flagged first" : "As listed"], ["name", "By name"], ...columns.filter((name) => predicted && name !== "flag").map((name) => [name, `Highest ${spoken(name)}`])];
  $("order").replaceChildren(...orders.map(([value, text]) => Object.assign(make("option", text), { value })));
  const shown = [...(state.data.coloured ? [["all", "all colours"]] : []), ...channels.map((name, index) => [String(index), name])];
  $("channel").replaceChildren(...shown.map(([value, text]) => Object.assign(make("option", text), { value })));
  $("explained").textContent = columns.filter((name) => name in MEANINGS).map((name) => MEANINGS[name][1]).join(" ");
  $("channel-box").hidden = channels.length < 2 || !state.data.cases.some((one) => !one.note);
  $("labels").replaceChildren(...labels.slice(1).map((one) => {
    const button = make("button"), swatch = make("span", "", "swatch");
    Object.assign(button, { type: "button" });
    button.setAttribute("role", "radio");
    button.setAttribute("aria-checked", one.index === state.label);
    button.dataset.index = one.index;
    swatch.style.background = one.colour;
    button.append(swatch, one.name);
    button.addEventListener("click", () => label(one.index));
    return button;
  }));
}

function wired() {
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("order").addEventListener("change", list);
  $("find").addEventListener("input", list);
  try { $("who").value = localStorage.getItem("who") || ""; } catch { /* private windows keep nothing */ }
  $("who").addEventListener("change", () => { try { localStorage.setItem("who", $("who").value); } catch { /* the same */ } });
  if (nv) {
    for (const id of ["opacity", "style"]) $(id).addEventListener("input", styled);
    $("view").addEventListener("change", chooseView);
    $("channel").addEventListener("change", () => open(state.at));
    $("width").addEventListener("change", () => tool(state.tool));
    for (const button of document.querySelectorAll("[data-tool]")) button.addEventListener("click", () => tool(button.dataset.tool));
    $("undo").addEventListener("click", () => nv.drawUndo());
    $("again").addEventListener("click", () => startOver().catch((problem) => tell(problem.message, true)));
    $("save").addEventListener("click", () => save(false));
    $("replace").addEventListener("click", () => save(true));
    $("keep").addEventListener("click", () => { $("confirm").hidden = true; $("save").focus(); });
    nv.onLocationChange = (place) => { $("where").textContent = place.string; };
    nv.onDrawingChanged = (action) => { if (["draw", "undo", "fill", "shape"].includes(action)) changed(); };
  }
  window.addEventListener("beforeunload", (event) => { if (state.dirty) event.preventDefault(); });
  document.addEventListener("keydown", pressed, true);
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=range]), select, textarea")) return;
  const key = event.key.toLowerCase();
  const actions = { n: () => step(1), p: () => step(-1) };
  const tools = { 0: "look", d: "pen", f: "fill", e: "erase" };
  if (nv && !$("correct").disabled) {
    if (key in tools) actions[key] = () => tool(tools[key]);
    if (key === "o") actions[key] = () => { $("style").value = $("style").value === "filled" ? "outline" : "filled"; styled(); };
    if (key === "z") actions[key] = () => nv.drawUndo();
    if (/^[1-9]$/.test(key)) actions[key] = () => label(Number(key));
  }
  if (!(key in actions)) return;
  event.preventDefault();
  event.stopPropagation();
  actions[key]();
}

async function start() {
  if (nv) {
    await nv.attachToCanvas($("planes"));
    drawsWholeLines(nv);
  }
  wired();
  state.data = await (await asked("cases")).json();
  prepared();
  counted();
  list();
  const first = state.shown.find((one) => !one.note) || state.shown[0];
  if (first) await open(first.number);
}

start().catch((problem) => { busy(""); $("note").textContent = problem.message; $("note").hidden = false; });
