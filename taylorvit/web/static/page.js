// The page: what is served, what is submitted, and the answer to the newest submission.

import { Pad } from "./pad.js";
import { showAnswer, showAttention } from "./result.js";

const PAUSE = 400; // ms after a stroke in which another one may begin

const byId = (id) => document.getElementById(id);

let model;
let shown = null; // { answer, picture }
let controller = null; // of the request that is on its way
let timer = null;

const pad = new Pad(byId("pad"), {
  onPen: () => {
    clearTimeout(timer);
    unmark();
    refresh();
  },
  onStroke: () => {
    clearTimeout(timer);
    timer = setTimeout(classifyDrawing, PAUSE);
    refresh();
  },
  onEnter: classifyDrawing,
});

async function ask(address, options = {}) {
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer: is `taylorvit serve` still running?");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(sentence(answer.error ?? `the server answers ${response.status}`));
  return answer;
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;

async function load(source) {
  const picture = new Image();
  picture.src = source;
  await picture.decode();
  return picture;
}

// Of several submissions, the newest one counts.
async function classify(address, body, { label = null, show = false } = {}) {
  clearTimeout(timer);
  controller?.abort();
  const mine = (controller = new AbortController());
  byId("result").setAttribute("aria-busy", "true");
  try {
    const answer = await ask(address, { method: "POST", body, signal: mine.signal });
    const picture = await load(answer.image);
    if (mine !== controller) return;
    shown = { answer, picture };
    if (show) pad.show(picture);
    refresh();
    complain(null);
    byId("nothing").hidden = true;
    byId("found").hidden = byId("attention").hidden = false;
    showAnswer(answer, model, label);
    showLayer();
  } catch (error) {
    if (error.name !== "AbortError" && mine === controller) complain(error.message);
  } finally {
    if (mine === controller) byId("result").setAttribute("aria-busy", "false");
  }
}

function classifyDrawing() {
  if (pad.strokes.length === 0) return;
  classify("api/drawing", JSON.stringify({ strokes: pad.strokes }));
}

function classifyFile(file) {
  unmark();
  if (file.size > model.most_bytes) {
    complain(`The file must have at most ${Math.floor(model.most_bytes / 2 ** 20)} MB.`);
    return;
  }
  const inverted = byId("inverted").checked ? "?inverted=1" : "";
  classify(`api/image${inverted}`, file, { show: true });
}

function classifyExample(index, button) {
  unmark();
  button.setAttribute("aria-pressed", "true");
  classify(`api/examples/${index}`, undefined, { label: model.examples[index], show: true });
}

function unmark() {
  for (const each of byId("thumbnails").children) each.setAttribute("aria-pressed", "false");
}

function complain(text) {
  byId("error").textContent = text ?? "";
  byId("error").hidden = text === null;
  if (text !== null) byId("found").hidden = byId("attention").hidden = byId("nothing").hidden = true;
}

function forget() {
  clearTimeout(timer);
  controller?.abort();
  controller = shown = null;
  byId("result").setAttribute("aria-busy", "false");
  unmark();
  complain(null);
  byId("found").hidden = byId("attention").hidden = true;
  byId("nothing").hidden = false;
}

function showLayer() {
  if (shown) showAttention(shown.answer, model, shown.picture, Number(byId("layer").value) - 1);
}

function refresh() {
  byId("hint").hidden = !pad.empty;
  byId("undo").disabled = pad.strokes.length === 0;
  byId("clear").disabled = pad.empty;
}

function addExamples() {
  byId("examples").hidden = model.examples.length === 0;
  const buttons = model.examples.map((label, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-label", label === null ? `image ${index}` : `image ${index}: ${model.classes[label]}`);
    const picture = new Image();
    picture.src = `api/examples/${index}.png`;
    picture.alt = "";
    button.append(picture);
    button.addEventListener("click", () => classifyExample(index, button));
    return button;
  });
  byId("thumbnails").replaceChildren(...buttons);
}

function acceptFiles() {
  const drop = byId("drop");
  byId("choose").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", () => {
    const [file] = byId("file").files;
    byId("file").value = ""; // so that the same one can be chosen again
    if (file) classifyFile(file);
  });
  // Beside the pad, too: the browser would leave the page for the image.
  for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
  window.addEventListener("dragover", () => drop.classList.add("over"));
  window.addEventListener("dragleave", (event) => event.relatedTarget ?? drop.classList.remove("over"));
  window.addEventListener("drop", (event) => {
    drop.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) classifyFile(file);
  });
  window.addEventListener("paste", (event) => {
    const [file] = event.clipboardData?.files ?? [];
    if (file) classifyFile(file);
  });
}

async function start() {
  try {
    model = await ask("api/model");
  } catch (error) {
    complain(error.message);
    return;
  }
  const layer = byId("layer");
  layer.max = model.layers;
  layer.value = model.layers; // the last one, which the class is read behind
  byId("served").textContent = `${model.name} on ${model.place}, ${model.array.join(" x ")} PEs`;
  pad.enabled = model.drawing;
  byId("pad").classList.toggle("idle", !model.drawing);
  byId("pad").setAttribute("aria-label", model.drawing ? "pad to draw on" : "the image");
  byId("hint").textContent = model.drawing ? "Draw a digit, or drop an image" : "Drop an image";
  byId("pad-help").textContent = model.drawing
    ? "With keys: arrows move the pen, the space bar lowers and raises it, Enter classifies."
    : "";
  byId("undo").hidden = byId("clear").hidden = !model.drawing;
  byId("choose").hidden = !model.files;
  byId("inverted-label").hidden = !model.files || model.channels !== 1;
  byId("undo").addEventListener("click", () => {
    pad.undo();
    if (pad.empty) forget();
    else classifyDrawing();
    refresh();
  });
  byId("clear").addEventListener("click", () => {
    pad.clear();
    forget();
    refresh();
  });
  layer.addEventListener("input", showLayer);
  new ResizeObserver(showLayer).observe(byId("attention"));
  if (model.files) acceptFiles();
  addExamples();
  refresh();
  document.body.dataset.ready = "true";
}

start();
