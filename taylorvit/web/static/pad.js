// A pad to draw on, with mouse, finger, pen or keys. It keeps strokes: lists of points [x, y] from 0 to 1, y downwards.

const PEN = 0.09; // width of a stroke, as a share of the pad
const STEP = 0.04; // of an arrow key
const APART = 0.004; // points that are nearer to each other are left out

const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

export class Pad {
  // onStroke is called when a stroke has ended, onPen when one begins, onEnter for the key.
  constructor(canvas, { onPen, onStroke, onEnter }) {
    this.canvas = canvas;
    this.strokes = [];
    this.picture = null; // shown in place of strokes
    this.pen = [0.5, 0.5]; // of the keys
    this.down = false; // whether the pen of the keys draws
    this.enabled = false;
    Object.assign(this, { onPen, onStroke, onEnter });
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.end(event));
    canvas.addEventListener("keydown", (event) => this.key(event));
    for (const name of ["focus", "blur"]) canvas.addEventListener(name, () => this.render());
    new ResizeObserver(() => this.render()).observe(canvas);
  }

  get empty() {
    return this.strokes.length === 0 && this.picture === null;
  }

  clear() {
    this.strokes = [];
    this.picture = null;
    this.down = false;
    this.render();
  }

  undo() {
    this.picture = null;
    this.down = false;
    this.strokes.pop();
    this.render();
  }

  show(picture) {
    this.strokes = [];
    this.down = false;
    this.picture = picture;
    this.render();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const inside = (value) => Math.min(Math.max(value, 0), 1);
    return [inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height)];
  }

  begin(event) {
    if (!this.enabled || event.button !== 0 || this.pointer !== undefined) return;
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.picture = null;
    this.down = false;
    this.strokes.push([this.place(event)]);
    this.onPen();
    this.render();
  }

  move(event) {
    if (event.pointerId !== this.pointer) return;
    const steps = event.getCoalescedEvents?.() ?? [];
    for (const each of steps.length ? steps : [event]) this.extend(this.place(each));
    this.render();
  }

  end(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = undefined;
    this.onStroke();
  }

  extend(point) {
    const stroke = this.strokes[this.strokes.length - 1];
    const last = stroke[stroke.length - 1];
    if (Math.hypot(point[0] - last[0], point[1] - last[1]) >= APART) stroke.push(point);
  }

  // Arrows move the pen, the space bar lowers and raises it.
  key(event) {
    if (!this.enabled || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in ARROWS) {
      const inside = (value) => Math.min(Math.max(value, 0.02), 0.98);
      this.pen = this.pen.map((value, axis) => inside(value + ARROWS[event.key][axis]));
      if (this.down) this.extend(this.pen);
    } else if (event.key === " ") {
      this.down = !this.down;
      if (this.down) {
        this.picture = null;
        this.strokes.push([this.pen]);
        this.onPen();
      } else this.onStroke();
    } else if (event.key === "Enter") this.onEnter();
    else return;
    event.preventDefault();
    this.render();
  }

  render() {
    const side = Math.round(this.canvas.clientWidth * devicePixelRatio);
    if (side === 0) return;
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, side, side);
    if (this.picture) {
      context.imageSmoothingEnabled = false;
      context.drawImage(this.picture, 0, 0, side, side);
    }
    context.strokeStyle = "#fff";
    context.lineWidth = PEN * side;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of this.strokes) {
      context.beginPath();
      context.moveTo(stroke[0][0] * side, stroke[0][1] * side);
      for (const [x, y] of stroke) context.lineTo(x * side, y * side);
      context.stroke();
    }
    if (this.enabled && this.canvas.matches(":focus-visible")) {
      context.beginPath();
      context.arc(this.pen[0] * side, this.pen[1] * side, (PEN / 2) * side, 0, 2 * Math.PI);
      context.lineWidth = 0.008 * side;
      context.strokeStyle = this.down ? "#ff8f87" : "#6ea8ff";
      context.stroke();
    }
  }
}
