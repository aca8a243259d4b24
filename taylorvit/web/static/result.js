// Shows an answer of the server: class, margins, facts, and where the class token looks.

const MOST_BARS = 10;
// From dark to bright, evenly in lightness.
const COLOURS = [[13, 8, 60], [92, 18, 110], [166, 45, 96], [226, 91, 58], [252, 165, 36], [252, 245, 160]];

const byId = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en-US");

function element(name, { text, className, ...rest } = {}, ...children) {
  const made = Object.assign(document.createElement(name), rest);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  made.append(...children);
  return made;
}

const real = (value) => `${value < 0 ? "−" : ""}${Math.abs(value).toFixed(2)}`;
const signed = (value) => (value < 0 ? real(value) : `+${real(value)}`);
const titleOf = (kernel) => (kernel === "taylor" ? "Taylor attention" : "softmax attention");

function duration(seconds) {
  const units = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]];
  const [size, unit] = units.find(([size]) => seconds >= size) ?? units[units.length - 1];
  return `${(seconds / size).toPrecision(3)} ${unit}`;
}

export function showAnswer(answer, model, label) {
  const order = [...answer.logits.keys()].sort((a, b) => answer.logits[b] - answer.logits[a]);
  const name = model.classes[answer.class];
  byId("class").textContent = name;
  byId("class").classList.toggle("long", name.length > 2);
  byId("margin").textContent =
    order.length > 1 ? `${signed(answer.margins[order[0]])} ahead of ${model.classes[order[1]]}` : "";
  const right = label === answer.class;
  byId("label").textContent = label === null ? "" : right ? "as labelled" : `labelled ${model.classes[label]}`;
  byId("label").className = right ? "good" : "bad";
  const all = answer.logits.length;
  byId("equal").className = answer.different ? "bad" : "good";
  byId("equal").textContent = answer.different
    ? `✗ ${answer.different} of ${all} logits differ from the integer model`
    : `✓ all ${all} logits equal the integer model`;
  showBars(answer, model, order);
  showFacts(answer, model);
}

function showBars(answer, model, order) {
  // By class if there are few, otherwise the first ones in order.
  const shown = order.length <= MOST_BARS ? [...answer.logits.keys()] : order.slice(0, MOST_BARS);
  const highest = answer.logits[order[0]];
  const lowest = answer.logits[order[order.length - 1]];
  const rows = shown.map((index) => {
    const share = highest > lowest ? (answer.logits[index] - lowest) / (highest - lowest) : 1;
    const bar = element("div", { className: "bar" });
    bar.style.width = `${(100 * share).toFixed(1)}%`;
    return element(
      "tr",
      { className: index === answer.class ? "best" : "" },
      element("th", { text: model.classes[index], title: model.classes[index], scope: "row" }),
      element("td", {}, bar),
      element("td", { text: signed(answer.margins[index]), className: "value" }),
    );
  });
  byId("bars").tBodies[0].replaceChildren(...rows);
}

function showFacts(answer, model) {
  const facts = [["answered in", duration(answer.took)]];
  if (answer.cycles !== null) {
    const seconds = answer.cycles / (model.clock_mhz * 1e6);
    facts.unshift(
      ["cycles", whole.format(answer.cycles)],
      [`time at ${model.clock_mhz} MHz`, duration(seconds)],
      ["images a second", whole.format(Number((1 / seconds).toPrecision(3)))],
    );
  }
  byId("facts").replaceChildren(
    ...facts.map(([name, value]) => element("div", {}, element("dt", { text: name }), element("dd", { text: value }))),
  );
}

function colour(share) {
  const place = Math.min(Math.max(share, 0), 1) * (COLOURS.length - 1);
  const low = Math.min(Math.floor(place), COLOURS.length - 2);
  return COLOURS[low].map((value, index) => Math.round(value + (COLOURS[low + 1][index] - value) * (place - low)));
}

function context(canvas) {
  const side = Math.round(canvas.clientWidth * devicePixelRatio) || 1;
  canvas.width = canvas.height = side;
  const made = canvas.getContext("2d");
  made.imageSmoothingEnabled = false;
  return [made, side];
}

export function showAttention(answer, model, picture, layer) {
  const [seen, side] = context(byId("seen"));
  seen.drawImage(picture, 0, 0, side, side);
  const { kernel, ...maps } = answer.attention[layer];
  byId("layer-text").textContent = `${layer + 1} of ${answer.attention.length}, of ${titleOf(kernel)}`;
  for (const [name, weights] of Object.entries(maps)) showMap(name, weights, name === kernel, model, picture);
}

function showMap(name, weights, used, model, picture) {
  const [drawing, side] = context(byId(name));
  const least = Math.min(...weights);
  const most = Math.max(...weights);
  const cell = side / model.patches;
  drawing.drawImage(picture, 0, 0, side, side);
  weights.forEach((weight, index) => {
    const share = most > least ? (weight - least) / (most - least) : 0;
    drawing.fillStyle = `rgb(${colour(share).join(" ")} / 0.72)`;
    const [row, column] = [Math.floor(index / model.patches), index % model.patches];
    const [top, left] = [Math.floor(row * cell), Math.floor(column * cell)];
    drawing.fillRect(left, top, Math.floor((column + 1) * cell) - left, Math.floor((row + 1) * cell) - top);
  });
  const range = `${real(least)} to ${real(most)}`;
  byId(name).setAttribute("aria-label", `map of ${titleOf(name)}, ${range}`);
  byId(`${name}-caption`).replaceChildren(
    element("strong", { text: titleOf(name) }),
    `${used ? ", as the model computes" : ""}: ${range}`,
  );
}
