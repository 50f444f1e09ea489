// The canvas: the photo with its points, as a whole or a part of it, and boxes that the user drags.

const CANVAS_SIDE = 1600;  // a larger canvas shows no more, and may exhaust a phone's memory
const SMALL_SIDE = 512;    // smaller photos are drawn enlarged
const SCREEN_SIDE = 1200;  // a saved picture's lines are as wide as if it were seen at this side
const MOST_PIXELS = 16e6;  // of a saved picture: browsers have no larger canvas on some phones
const MOST_ZOOM = 16;
const view = {zoom: 1, x: 0.5, y: 0.5}; // (x, y): the middle of what is seen, in shares of the photo
let draft = null;                       // the box that is being dragged, in pixels of the photo

// Detectors also find false positives; the model's confidence tells them from faces, if it has one.
const isFace = face => !(face.confidence < 0.5);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// The part of the photo that is seen, in its pixels, and the canvas' pixels for one of them.
function placed() {
  const {width, height} = shown.answer, side = Math.max(width, height);
  const half = 0.5 / view.zoom;
  view.x = clamp(view.x, half, 1 - half);
  view.y = clamp(view.y, half, 1 - half);
  const scale = clamp(SMALL_SIDE / side, Math.min(1, CANVAS_SIDE / side), 8);
  return {left: (view.x - half) * width, top: (view.y - half) * height, width: width / view.zoom,
    height: height / view.zoom, scale: scale * view.zoom, mirrored: shown.mirrored};
}

function draw() {
  const canvas = at("canvas");
  canvas.hidden = false;
  if (document.activeElement === at("hint")) canvas.focus(); // not lost with what had it
  at("hint").hidden = true;
  at("stage").classList.add("full");
  canvas.classList.toggle("zoomed", view.zoom > 1);
  const part = placed();
  const width = Math.max(1, Math.round(part.width * part.scale));
  render(canvas, shown, part, width / (canvas.clientWidth || width));
}

// `pixel`: how many pixels of the canvas are one of the screen, for the least width of lines.
function render(canvas, {picture, answer}, part, pixel) {
  const {scale} = part;
  canvas.width = Math.max(1, Math.round(part.width * scale));
  canvas.height = Math.max(1, Math.round(part.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#808080";
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (part.mirrored) context.setTransform(-1, 0, 0, 1, canvas.width, 0);
  if (picture) {
    const x = picture.width / answer.width, y = picture.height / answer.height;
    context.drawImage(picture, part.left * x, part.top * y, part.width * x, part.height * y,
      0, 0, canvas.width, canvas.height);
  }
  // Landmarks have integer coordinates at a pixel's centre; the canvas has them at its corner.
  const toCanvas = ([x, y]) => [(x + 0.5 - part.left) * scale, (y + 0.5 - part.top) * scale];
  const lines = (models.get(answer.model) || {lines: []}).lines;
  answer.faces.forEach((face, number) => {
    const [left, top] = toCanvas(face.box), [right, bottom] = toCanvas(face.box.slice(2));
    const side = Math.max(right - left, bottom - top);
    const points = face.landmarks.map(toCanvas);
    const [yellow, green] = isFace(face) ? ["#fad228", "#3cdc3c"] : ["#a0a0a0", "#a0a0a0"];
    context.lineWidth = Math.max(pixel, side / 120);
    if (at("boxes").checked) {
      context.strokeStyle = yellow;
      context.strokeRect(left, top, right - left, bottom - top);
      if (answer.faces.length > 1) {
        const size = clamp(side / 6, 13 * pixel, 40 * pixel);
        const corner = part.mirrored ? right : left;
        // Within the picture, unless the whole face is out of it.
        const above = top - 4 * pixel, y = bottom > 0 ? Math.max(above, size) : above;
        label(context, number + 1, corner, y, size, yellow, part.mirrored);
      }
    }
    if (at("lines").checked) {
      context.strokeStyle = green + "b3"; // 70% opaque
      for (const line of lines) {
        context.beginPath();
        for (const index of line) context.lineTo(...points[index]);
        context.stroke();
      }
    }
    context.fillStyle = green;
    const radius = Math.max(Math.min(1.2 * pixel, side / 40), side / 80);
    for (const [x, y] of points) {
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.fill();
    }
  });
  if (draft) {
    const [left, top] = toCanvas(draft), [right, bottom] = toCanvas(draft.slice(2));
    for (const [colour, width] of [["#000", 4], ["#fff", 2]]) { // seen on any photo
      context.strokeStyle = colour;
      context.lineWidth = width * pixel;
      context.strokeRect(left, top, right - left, bottom - top);
    }
  }
}

function label(context, text, x, y, size, colour, mirrored) {
  context.save();
  context.translate(x, y);
  if (mirrored) context.scale(-1, 1); // the picture is a mirror, its numbers are not
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.lineWidth = size / 5;
  context.lineJoin = "round";
  context.strokeStyle = "#000";
  context.fillStyle = colour;
  context.strokeText(text, 0, 0);
  context.fillText(text, 0, 0);
  context.restore();
}

// The whole photo with its points, in its own size, as a JPEG.
function pictureOf(result) {
  const {width, height} = result.answer, canvas = document.createElement("canvas");
  const side = Math.max(width, height);
  const scale = Math.min(Math.max(1, SMALL_SIDE / side), Math.sqrt(MOST_PIXELS / (width * height)));
  const part = {left: 0, top: 0, width, height, scale, mirrored: result.mirrored};
  const kept = draft;
  draft = null;
  render(canvas, result, part, Math.max(1, scale * side / SCREEN_SIDE));
  draft = kept;
  return new Promise(done => canvas.toBlob(done, "image/jpeg", 0.92));
}

// ---- zoom, and boxes that the user gives

function zoom(factor, x = view.x, y = view.y) {
  const before = view.zoom;
  view.zoom = clamp(before * factor, 1, MOST_ZOOM);
  // (x, y) stays where it is.
  view.x = x + (view.x - x) * before / view.zoom;
  view.y = y + (view.y - y) * before / view.zoom;
  refresh();
}

function refresh() {
  at("closer").disabled = !shown || view.zoom >= MOST_ZOOM;
  at("farther").disabled = !shown || view.zoom <= 1;
  if (shown) draw();
}

function wholeView() {
  Object.assign(view, {zoom: 1, x: 0.5, y: 0.5});
  draft = null;
  refresh();
}

// Where the pointer is, in pixels of the photo.
function pointed(event) {
  const canvas = at("canvas"), seen = canvas.getBoundingClientRect(), part = placed();
  let x = (event.clientX - seen.left) / seen.width;
  const y = (event.clientY - seen.top) / seen.height;
  if (part.mirrored) x = 1 - x;
  return [part.left + x * part.width - 0.5, part.top + y * part.height - 0.5];
}

const isMarking = () => at("mark").getAttribute("aria-pressed") === "true";

function setMarking(on) {
  at("mark").setAttribute("aria-pressed", String(on));
  at("canvas").classList.toggle("marking", on);
  at("tip").hidden = !on;
  at("tip").textContent = "Drag a box around a face in the picture, from the brows to the chin. With the " +
    "keyboard: arrow keys move a box, with Shift they change its size, Enter looks into it.";
  draft = null;
  refresh();
}

// `mark(box)` looks into a box, in pixels of the photo.
function listenToCanvas(mark) {
  const canvas = at("canvas");
  let from = null, at0 = null; // the photo's pixel, and the middle of the view, where a drag began
  canvas.addEventListener("pointerdown", event => {
    if (!shown || event.button || !(isMarking() || view.zoom > 1)) return;
    canvas.setPointerCapture(event.pointerId);
    from = pointed(event);
    at0 = [event.clientX, event.clientY, view.x, view.y];
  });
  canvas.addEventListener("pointermove", event => {
    if (!from) return;
    if (isMarking()) {
      const [x, y] = pointed(event);
      draft = [Math.min(x, from[0]), Math.min(y, from[1]), Math.max(x, from[0]), Math.max(y, from[1])];
    } else {
      const seen = canvas.getBoundingClientRect(), way = shown.mirrored ? -1 : 1;
      view.x = at0[2] - way * (event.clientX - at0[0]) / seen.width / view.zoom;
      view.y = at0[3] - (event.clientY - at0[1]) / seen.height / view.zoom;
    }
    refresh();
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, event => {
    if (!from) return;
    const moved = Math.min(Math.abs(event.clientX - at0[0]), Math.abs(event.clientY - at0[1]));
    from = null;
    if (!isMarking()) return;
    const isBox = draft && moved >= 5 && Math.min(draft[2] - draft[0], draft[3] - draft[1]) >= 2;
    if (end === "pointerup" && isBox) return mark(draft);
    draft = null;
    refresh();
  });
  canvas.addEventListener("wheel", event => {
    if (!shown || !event.ctrlKey) return; // without the key the page scrolls; pinching has it
    event.preventDefault();
    const [x, y] = pointed(event);
    zoom(Math.exp(-event.deltaY / 200), (x + 0.5) / shown.answer.width, (y + 0.5) / shown.answer.height);
  }, {passive: false});
  const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  canvas.addEventListener("keydown", event => {
    if (!shown || event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key], part = placed();
    if (event.key === "+") zoom(1.5);
    else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "0") wholeView();
    else if (event.key === "Escape" && isMarking()) setMarking(false);
    else if (event.key === "Enter" && draft) mark(draft);
    else if (arrow && isMarking()) {
      const side = Math.min(part.width, part.height) / 3, step = side / 10;
      const x = part.left + part.width / 2, y = part.top + part.height / 2;
      const [dx, dy] = arrow.map(way => way * step), size = event.shiftKey;
      const [left, top, right, bottom] = draft || [x - side / 2, y - side / 2, x + side / 2, y + side / 2];
      const sized = [left, top, Math.max(right + dx, left + step), Math.max(bottom + dy, top + step)];
      const moved = [left + dx, top + dy, right + dx, bottom + dy];
      const {width, height} = shown.answer; // its middle stays in the photo
      const isInside = [width, height].every((most, axis) => {
        const middle = (moved[axis] + moved[axis + 2]) / 2;
        return middle >= 0 && middle < most;
      });
      draft = size ? sized : isInside ? moved : draft;
      refresh();
    } else if (arrow && view.zoom > 1) {
      view.x += 0.1 * arrow[0] / view.zoom;
      view.y += 0.1 * arrow[1] / view.zoom;
      refresh();
    } else return;
    event.preventDefault();
  });
}
