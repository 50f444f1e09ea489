// Photos one by one, what is told of each, and the actions of the user.

const BUSY_TRIES = 5; // how often a photo is sent again to a service that is busy
const items = [];     // {blob, name, boxes the user gave, state, answer, error, roundTrip, button}
let current = null;   // the item that is shown
let picked = false;   // whether the user chose it; else each photo is shown when it is done
let running = false;

// ---- one photo after the other

function take(files) {
  if (!files || !files.length) return fail("That was not a file. Drop or paste a photo.");
  stopCamera();
  fail("");
  picked = false;
  for (const file of files)
    items.push({blob: file, name: file.name || "pasted photo", boxes: [], state: "waiting"});
  run();
}

async function run() {
  if (running) return;
  running = true;
  const waiting = () => items.filter(item => item.state === "waiting");
  for (let all; (all = waiting()).length;) await work(all.includes(current) ? current : all[0]);
  running = false;
}

async function work(item) {
  item.state = "busy";
  at("stage").classList.add("busy");
  if (!stream) say("Finding faces …");
  listPhotos();
  const start = performance.now(), model = at("model").value;
  try {
    await check(item);
    item.answer = await landmarksOf(item);
    item.roundTrip = performance.now() - start;
    item.state = model === at("model").value ? "done" : "waiting"; // another was chosen meanwhile
    if (!stream && (item === current || !picked)) await show(item);
  } catch (error) {
    item.state = "failed";
    item.error = error instanceof PhotoError ? error.message : "cannot be shown: the browser failed.";
    if (!stream) {
      fail(`${item.name} ${item.error}`);
      if (shown) report(shown); // the last photo stays
      else say("Nothing yet.");
    }
    if (item === current && item.answer) at("model").value = item.answer.model;
    describeModel();
  } finally {
    at("stage").classList.remove("busy");
    listPhotos();
  }
}

// Raises what is wrong with a file before it is sent.
async function check({blob}) {
  if (limits && blob.size > limits.megabytes * 1e6)
    throw new PhotoError(`is too large: it has ${(blob.size / 1e6).toFixed(1)} MB; at most ` +
      `${limits.megabytes} MB are accepted. Choose a smaller copy.`, 413);
  try {
    await blob.slice(0, 1).arrayBuffer();
  } catch (error) {
    throw new PhotoError("cannot be read. If it is a folder, choose the photos in it.");
  }
  if (!blob.size) throw new PhotoError("is empty. Choose another photo.");
}

async function landmarksOf(item) {
  const answer = await patiently(item.blob, item.name);
  const places = item.boxes.map(box => ({box}));
  return places.length ? joined(answer, await patiently(item.blob, item.name, places)) : answer;
}

const joined = (answer, further) => ({...answer, faces: [...answer.faces, ...further.faces]});

async function patiently(blob, name, places) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await ask(blob, name, places);
    } catch (error) {
      if (error.status !== 503 || tries >= BUSY_TRIES) throw error;
      await later(1000 * error.retryAfter);
    }
  }
}

// Looks into a box that the user dragged, and adds what is there to the faces.
async function mark(box) {
  const item = current, rounded = box.map(edge => Math.round(100 * edge) / 100);
  if (!item) return;
  fail("");
  at("stage").classList.add("busy");
  try {
    const answer = await patiently(item.blob, item.name, [{box: rounded}]);
    // What the last box held goes if that was no face.
    const kept = item.answer.faces.filter(face => isFace(face) || face.score !== undefined);
    item.answer = joined({...item.answer, milliseconds: answer.milliseconds, faces: kept}, answer);
    if (answer.faces.every(isFace)) item.boxes.push(rounded);
    if (item !== current) return;
    shown.answer = item.answer;
    setMarking(!answer.faces.every(isFace));
    report(shown);
    if (!answer.faces.every(isFace)) fail("The model sees no face in this box. Drag another one.");
  } catch (error) {
    fail(`${item.name} ${error.message}`);
    draft = null;
    refresh();
  } finally {
    at("stage").classList.remove("busy");
    listPhotos();
  }
}

async function show(item) {
  current = item;
  // Upright, as the service reads it; a browser cannot show all formats that the service reads.
  let picture = await createImageBitmap(item.blob, {imageOrientation: "from-image"}).catch(() => null);
  const {answer} = item;
  // Nor does it know the orientation in all of them.
  if (picture && Math.abs(picture.width / picture.height * answer.height / answer.width - 1) > 0.05) picture = null;
  if (item !== current || stream) return;
  display({picture, answer, name: item.name, mirrored: false}, item.roundTrip);
  if (!picture)
    fail(`${item.name}: this browser cannot show the photo; only the points from the service are shown.`);
}

function leavePhotos() {
  current = null;
  wholeView();
  setMarking(false);
  at("mark").disabled = true;
  listPhotos();
}

function display(result, roundTrip, frames) {
  const other = !shown || shown.name !== result.name || shown.answer.width !== result.answer.width;
  if (shown && shown.picture !== result.picture) shown.picture?.close?.(); // a bitmap's memory
  shown = {...result, roundTrip, frames};
  if (other) wholeView();
  for (const id of ["download", "save"]) at(id).disabled = false;
  if (!stream) {
    at("mark").disabled = false;
    setMarking(!result.answer.faces.length);
  }
  report(shown);
}

// What is told of the shown answer.
function report({answer, name, roundTrip, frames}) {
  refresh();
  fillFaces(answer, Boolean(frames));
  const times = answer.milliseconds;
  const rows = [["decoding", times.decode], ["finding faces", times.detect],
    ["landmarks", times.landmarks], ["all of that", times.total], ["seen from this page", roundTrip]];
  fill(at("timing"), "Milliseconds", rows.map(([part, value]) => [part, value.toFixed(1)]));
  const faces = countOf(answer);
  say(`${faces}.`);
  // Not in the status: a screen reader would read it aloud with every frame.
  at("rate").hidden = !frames;
  if (frames) at("rate").textContent = `${frames.toFixed(1)} frames a second`;
  at("canvas").setAttribute("aria-label", `${name}: ${faces}`);
}

function countOf({faces}) {
  const count = faces.filter(isFace).length, others = faces.length - count;
  return (count === 0 ? "No face found" : count === 1 ? "1 face" : `${count} faces`) +
    (others ? `, and ${others} more that the model rejects` : "");
}

// ---- the tables

function listPhotos() {
  const done = items.filter(item => item.answer || item.state === "failed").length;
  at("list").hidden = items.length < 2;
  at("progress").textContent = done < items.length ? `${done} of ${items.length} photos done` : `${done} photos`;
  for (const item of items) {
    const button = item.button ||= entryOf(item); // the same one, so that it keeps the focus
    const state = item.state === "failed" ? item.error : item.answer ? countOf(item.answer) :
      item.state === "busy" ? "finding faces …" : "waits";
    button.textContent = `${item.name}: ${state}`;
    button.classList.toggle("failed", item.state === "failed");
    button.setAttribute("aria-current", String(item === current));
  }
}

function entryOf(item) {
  const entry = document.createElement("li"), button = document.createElement("button");
  button.type = "button";
  button.addEventListener("click", () => pick(item));
  entry.append(button);
  at("photos").append(entry);
  return button;
}

async function pick(item) {
  stopCamera();
  fail("");
  picked = true;
  if (item.answer) await show(item);
  const outdated = item.state === "done" && item.answer.model !== at("model").value;
  if (item.state === "failed" || outdated) item.state = "waiting"; // again
  if (item.state === "waiting") current = item;
  listPhotos();
  run();
}

function fillFaces(answer, isCamera) {
  const faces = answer.faces, columns = [];
  const column = (name, value) => {
    const cells = faces.map(face => value(face) ?? "");
    if (cells.some(cell => cell !== "")) columns.push([name, ...cells]);
  };
  const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length;
  column("is a face", face => face.confidence === undefined ? "" :
    `${(100 * face.confidence).toFixed(1)}%`);
  // The camera's detector runs now and then only: a column that comes and goes cannot be read.
  if (!isCamera) column("detector's score", face => face.score?.toFixed(2));
  for (const angle of ["yaw", "pitch", "roll"])
    column(angle, face => face.pose && `${face.pose[angle].toFixed(1)}°`);
  column("expected error", face => face.uncertainty?.length &&
    `${mean(face.uncertainty).toFixed(1)}\u00a0px`);
  column("box", face => [face.box[2] - face.box[0], face.box[3] - face.box[1]]
    .map(value => value.toFixed(0)).join("x") + "\u00a0px");
  const attributes = new Set(faces.flatMap(face => Object.keys(face.attributes || {})));
  for (const name of attributes) column(name.replaceAll("_", " "), face => {
    const attribute = face.attributes?.[name];
    return attribute &&
      `${attribute.class.replaceAll("_", " ")} (${(100 * attribute.probability).toFixed(0)}%)`;
  });
  const rows = faces.map((_, number) => [number + 1, ...columns.map(cells => cells[number + 1])]);
  fill(at("faces"), "Faces", rows, ["face", ...columns.map(([name]) => name)]);
  at("table").hidden = !faces.length;
}

function fill(table, title, rows, heads) {
  const caption = document.createElement("caption");
  caption.textContent = title;
  table.replaceChildren(caption);
  const line = (texts, isHead) => {
    const row = table.insertRow();
    texts.forEach((text, index) => {
      const element = document.createElement(isHead || !index ? "th" : "td");
      element.textContent = text;
      if (element.tagName === "TH") element.scope = isHead ? "col" : "row";
      row.append(element);
    });
  };
  if (heads) line(heads, true);
  for (const texts of rows) line(texts, false);
  table.hidden = false;
}

// ---- actions of the user

function saveAs(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const stem = name => name.replace(/\.[^.]*$/, "").replace(/\s+/g, "_");
const saveJson = (value, name) =>
  saveAs(new Blob([JSON.stringify(value, null, 2) + "\n"], {type: "application/json"}), name);

at("file").addEventListener("change", event => {
  if (event.target.files.length) take([...event.target.files]);
  event.target.value = ""; // so that the same file can be chosen again
});
at("hint").addEventListener("click", () => at("file").click());
at("sample").addEventListener("click", async () => {
  try {
    const response = await fetch("sample.jpg");
    if (!response.ok) throw new Error();
    take([new File([await response.blob()], "sample.jpg", {type: "image/jpeg"})]);
  } catch (error) {
    fail(`The sample did not come: ${UNREACHED}`);
  }
});
at("camera").addEventListener("click", () => stream ? stopCamera() : startCamera());
at("model").addEventListener("change", () => {
  describeModel();
  if (!current || current.state === "busy") return;
  current.state = "waiting";
  run();
});
for (const id of ["lines", "boxes"]) at(id).addEventListener("change", refresh);
at("closer").addEventListener("click", () => zoom(1.5));
at("farther").addEventListener("click", () => zoom(1 / 1.5));
at("mark").addEventListener("click", () => setMarking(!isMarking()));
at("download").addEventListener("click", () => saveJson(shown.answer, stem(shown.name) + "_landmarks.json"));
at("save").addEventListener("click", async () =>
  saveAs(await pictureOf(shown), stem(shown.name) + "_landmarks.jpg"));
at("all").addEventListener("click", () =>
  saveJson(items.filter(item => item.answer).map(item => item.answer), "landmarks.json"));
listenToCanvas(mark);
addEventListener("dragover", event => { event.preventDefault(); at("stage").classList.add("over"); });
addEventListener("dragleave", event => {
  if (!event.relatedTarget) at("stage").classList.remove("over");
});
addEventListener("drop", event => {
  event.preventDefault();
  at("stage").classList.remove("over");
  take([...event.dataTransfer.files]);
});
addEventListener("paste", event => take([...event.clipboardData.files]));
loadModels().catch(error => fail(`The models did not come: ${error.message}`));
